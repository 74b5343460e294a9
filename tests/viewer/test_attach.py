"""Attaching to training: nothing changes but what one sees."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import events, nn
from torchlike_asg.asg import arena, scope
from torchlike_asg.compiler import plan
from torchlike_asg.facade.core import node_of
from torchlike_asg.viewer import attach, publisher, taps, visualize
from torchlike_asg.viewer.protocol import Subscribe, read_recording
from torchlike_asg.viewer.session import TRIES
from torchlike_asg.viewer.snapshot import KINDS

from .models import Tiny, train

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_trouble(capsys):
    """Whatever goes wrong beside the training is said on standard error."""
    yield
    assert "had a problem" not in capsys.readouterr().err


SCRIPT = """
import torchlike_asg as torch
from torchlike_asg import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
handle = model.visualize({arguments})
for step in range({steps}):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(torch.randn(16, 6)), torch.randint(0, 3, (16,)))
    loss.backward()
    optimizer.step()
    {inside}
print("trained", step, flush=True)
"""


def script(steps=20, arguments="", inside="pass"):
    return textwrap.dedent(SCRIPT).format(steps=steps, arguments=arguments, inside=inside)


def environment(**more):
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    return env | {"PYTHONPATH": str(ROOT), "QT_LOGGING_RULES": "*=false"} | more


def messages(path):
    found = {}
    for m in read_recording(path):
        found.setdefault(m.kind, []).append(m)
    return found


def looking_at(handle, *ops):
    """Have the session believe that a window shows these operations; returns their nodes."""
    session = handle._session
    session.publisher.closed.clear()
    graph = session._snapshot
    nodes = [i for i in range(len(graph)) if graph.text("op", i) in ops or graph.text("name", i) in ops]
    session._hear(Subscribe(session.epoch, np.asarray(nodes, np.int32), np.asarray(nodes, np.int32)))
    return nodes


# ---------------------------------------------------------------- in this process
def test_losses_are_the_same_bit_for_bit():
    torch.manual_seed(3)
    plain = Tiny()
    start = {k: v.clone() for k, v in plain.state_dict().items()}
    expected = train(plain, 60)
    watched = Tiny()
    watched.load_state_dict(start)
    handle = attach(watched, window=False)
    losses = train(watched, 20)
    handle._settle()
    looking_at(handle, "gelu", "layer_norm", "weight")
    for _ in range(20):  # probes of values, of gradients, of updates and of kernels
        handle._settle()
    handle._session.publisher.closed.set()
    handle.detach()
    again = Tiny()
    again.load_state_dict(start)
    handle = attach(again, window=False)
    losses = train(again, 60)
    handle.detach()
    assert losses == expected


def test_probes_see_the_true_values_and_change_nothing():
    def run(model, probe):
        torch.manual_seed(5)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        handle = attach(model, window=False) if probe else None
        losses, kept = [], {}
        for k in range(12):
            x, y = torch.randn(16, 6), torch.randint(0, 3, (16,))
            optimizer.zero_grad()
            hidden = model.norm(model.first(x))
            loss = nn.functional.cross_entropy(model.head(model.act(hidden)), y)
            loss.backward()
            optimizer.step()
            kept.setdefault("hidden", []).append(hidden.detach().numpy().copy())
            losses.append(loss.item())
            if probe:
                if k == 4:
                    handle._settle()
                if k >= 4:
                    session = handle._session
                    session._governor.credit, session._looked, session._fresh_selection = 9.0, 0.0, True
                    session._timed = 0.0
                    session._governor.most = 9.0
                    kept["nodes"] = looking_at(handle, "layer_norm", "weight")
                    handle._settle()
                    handle._settle()
        return losses, kept, handle

    torch.manual_seed(3)
    model = Tiny()
    start = {k: v.clone() for k, v in model.state_dict().items()}
    losses, _, _ = run(model, False)
    model.load_state_dict(start)
    watched, kept, handle = run(model, True)
    assert watched == losses
    history = list(handle._session.publisher.history._rest)
    handle._session.publisher.closed.set()
    handle.detach()
    from torchlike_asg.viewer.protocol import decode

    stats = [m for m in map(decode, history) if m.kind == "stats"]
    values = [m for m in stats if m.of == "value"]
    graph = handle._session._snapshot
    (norm,) = [i for i in kept["nodes"] if graph.text("op", i) == "layer_norm"]
    rows = [m.values[m.nodes.tolist().index(norm)] for m in values if norm in m.nodes]
    true = [[h.mean(), h.std(), h.min(), h.max()] for h in kept["hidden"]]
    assert rows
    assert all(any(np.allclose(row[:4], t, atol=1e-5) for t in true) for row in rows)
    assert any(m.of == "gradient" and np.isfinite(m.values[:, 5]).all() for m in stats)
    assert any(m.of == "update" and (m.values[:, 5] > 0).all() for m in stats)
    assert {m.kind for m in map(decode, history)} >= {"stats", "timing"}


def test_a_selection_is_looked_at_again_until_all_of_it_was_seen():
    model = Tiny()
    handle = attach(model, window=False)
    train(model, 10)
    handle._settle()
    handle.detach()
    session = handle._session  # from here on its thread is this one
    session._probe = None
    (gelu,) = looking_at(handle, "gelu")
    looks = 0
    while session._fresh_selection:
        session._plan_probe()
        probe, looks = session._probe, looks + 1
        assert {i for i, _ in probe.wanted} == {gelu, int(session._snapshot.gradient[gelu])}
        probe.done = True  # the step was half over: nothing is found
        session._collect()
    assert looks == 1 + TRIES
    session._hear(Subscribe(session.epoch))
    looking_at(handle, "gelu")
    session._plan_probe()
    assert not session._probe.complete
    for i, _ in session._probe.wanted:
        session._probe._add(i, np.ones(3, np.float32))
    session._probe.done = True
    before = len(session.publisher.history._rest)
    session._collect()
    assert not session._fresh_selection
    assert len(session.publisher.history._rest) > before
    looking_at(handle)
    looking_at(handle, "gelu")
    session._plan_probe()
    session._probe._add(gelu, np.ones(3, np.float32))
    session._probe.done = True
    session.epoch += 1  # another graph came: the numbers of nodes are those of the one before
    before = len(session.publisher.history._rest)
    session._collect()
    assert len(session.publisher.history._rest) == before


def test_a_look_that_is_asked_for_in_mid_step_is_at_the_next_step(monkeypatch):
    """The session's thread wakes while a plan runs, which is when training leaves the processor's lock to others."""
    model = Tiny()
    handle = attach(model, window=False)
    train(model, 10)
    handle._settle()
    (gelu,) = looking_at(handle, "gelu")
    session, tap, made = handle._session, handle._tap, []

    def idle():
        while session.asked:
            session.asked.popleft().set()

    monkeypatch.setattr(session, "tick", idle)
    handle._settle()  # from here on nobody else makes probes

    def original(tr, key, donated, run=taps._original):
        run(tr, key, donated)
        if not made:
            session._probe = tap.probe = None
            session._fresh_selection = True
            session._plan_probe()
            made.append(session._probe)

    monkeypatch.setattr(taps, "_original", original)
    tap.ask()
    train(model, 8)
    (probe,) = made
    assert probe.done
    assert probe.complete
    assert {i for i, _ in probe.wanted} >= {gelu, int(session._snapshot.gradient[gelu])}
    monkeypatch.undo()
    handle._session.publisher.closed.set()
    handle.detach()


def test_detaching_leaves_nothing_behind():
    def hooks():
        return plan.execute_plan, dict(events.listeners), events.due, events.doubtful_read, scope.on_failure

    before = hooks()
    handle = attach(Tiny(), window=False)
    assert plan.execute_plan is not before[0]
    handle.detach()
    assert hooks() == before


def test_a_script_imports_little_before_visualize_returns():
    """The rest, which takes much longer, is imported in a thread."""
    text = "import sys, torchlike_asg.viewer; print(*[m for m in sys.modules if m.startswith('torchlike_asg.viewer.')])"
    out = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120, env=environment())
    assert {m.rpartition(".")[2] for m in out.stdout.split()} == {"attach", "taps", "rounds", "loss_log", "kept", "links", "losses"}


def test_curves_markers_and_recordings(tmp_path):
    path = tmp_path / "run.asgtrace"
    model = Tiny()
    handle = attach(model, window=False, record=path)
    losses = train(model, 10)
    handle.log("validation", 1.5)
    handle.mark("half")
    copy = tmp_path / "copy.asgtrace"
    handle.save(copy)
    handle.detach()
    for found in (messages(path), messages(copy)):
        points = {m.name: [] for m in found["scalars"]}
        for m in found["scalars"]:
            points[m.name] += m.values.tolist()
        assert np.allclose(points["loss"], losses)
        assert points["lr"] == [0.1]  # it never changes
        assert points["validation"] == [1.5]
        assert found["event"][0].text == "half"
        assert found["graph"]


def test_a_shape_that_does_not_fit_is_shown(tmp_path):
    path = tmp_path / "run.asgtrace"
    model = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(9, 3))
    handle = attach(model, window=False, record=path)
    with pytest.raises(RuntimeError):
        model(torch.randn(2, 6))
    handle.detach()
    found = messages(path)
    (failure,) = found["failure"]
    graph = found["graph"][-1].columns
    texts = graph["texts"]
    assert (failure.op, failure.key) == ("linear", "linear")
    assert failure.shapes[:2] == [[2, 8], [3, 9]]
    assert failure.fields == {"got": 8, "expected": 9, "outputs": 3}
    assert failure.file.endswith("test_attach.py")
    assert "model(torch.randn(2, 6))" in failure.source
    assert texts[graph["op"][failure.node]] == "linear"
    sources = [texts[graph["op"][graph["src"][e]]] for e in failure.edges]
    assert sources == ["gelu"]  # what does not fit the layer, not the layer's parameters


@pytest.mark.parametrize(
    ("combine", "wrong"),
    [
        (lambda a, b, w: torch.matmul(a, b), [0]),  # it fits if it is transposed
        (lambda a, b, w: torch.matmul(a, torch.cat([b, b[:1]])), [0, 1]),  # neither is right by itself
        (lambda a, b, w: a + w, [0]),
        (lambda a, b, w: torch.cat([a, a * 2, b]), [2]),
    ],
)
def test_only_operands_that_do_not_fit_are_marked(combine, wrong, tmp_path):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(7))

        def forward(self, x):
            return combine(x.exp(), x[:, :3].exp(), self.w)

    path = tmp_path / "run.asgtrace"
    model = Odd()
    handle = attach(model, window=False, record=path)
    with pytest.raises(RuntimeError):
        model(torch.randn(4, 6))
    handle.detach()
    found = messages(path)
    (failure,) = found["failure"]
    graph = found["graph"][-1].columns
    operands = [e for e, d in enumerate(graph["dst"].tolist()) if d == failure.node]
    assert [operands.index(e) for e in failure.edges] == wrong


class Log(nn.Module):
    """The logarithm of a layer's magnitude times a scale: NaN where that is negative."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 3)

    def forward(self, x, scale):
        return torch.log(torch.abs(self.fc(x)) * scale)


def test_the_first_bad_value_is_found(tmp_path):
    path = tmp_path / "run.asgtrace"
    model = Log()
    handle = attach(model, window=False, record=path)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    for k in range(8):
        optimizer.zero_grad()
        loss = model(torch.ones(2, 6), torch.tensor(-1.0 if k >= 4 else 1.0)).mean()
        loss.backward()
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
        handle._settle()
    handle.detach()
    found = messages(path)
    alarms = found["alarm"]
    assert alarms[0].node == -1
    assert alarms[0].step == 5
    graph = found["graph"][alarms[-1].epoch - 1].columns
    assert graph["texts"][graph["op"][alarms[-1].node]] == "log"
    assert alarms[-1].nonfinite == 6


def test_arguments():
    with pytest.raises(ValueError, match="unknown theme"):
        visualize(Tiny(), theme="pink")


# ---------------------------------------------------------------- the child process
def run_script(text, tmp_path, how="file", **more):
    if how == "file":
        path = tmp_path / "train.py"
        path.write_text(text)
        command, given = [sys.executable, str(path)], None
    elif how == "c":
        command, given = [sys.executable, "-c", text], None
    else:
        command, given = [sys.executable, "-"], text
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment(**more))


def test_without_a_display_a_recording_is_written(tmp_path):
    out = run_script(script(), tmp_path)
    assert out.returncode == 0, out.stderr
    assert "trained 19" in out.stdout
    if publisher.sys.platform.startswith("linux"):
        assert out.stderr.count("\n") == 1
        assert "There is no display" in out.stderr
        (path,) = tmp_path.glob("*.asgtrace")
        found = messages(path)
        assert found["graph"]
        assert found["bye"][0].reason == "done"


@pytest.mark.parametrize("how", ["file", "c", "-"])
def test_a_window_from_any_kind_of_program(tmp_path, how):
    """Offscreen: the picture is taken by the child after the program has ended."""
    shot = tmp_path / "shot.png"
    out = run_script(script(arguments=f"shot={str(shot)!r}"), tmp_path, how, QT_QPA_PLATFORM="offscreen")
    assert out.returncode == 0, out.stderr
    assert out.stdout.count("trained 19") == 1  # the child did not run the script again
    until = time.monotonic() + 60
    while not (shot.exists() and shot.stat().st_size > 5000) and time.monotonic() < until:
        time.sleep(0.1)
    assert shot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("which", ["SIGKILL", "SIGSTOP"])
def test_a_window_that_dies_or_freezes_does_not_disturb(tmp_path, which):
    inside = f"""
    if step == 20:
        import os, signal, time
        while not handle._session.publisher.connected: time.sleep(0.02)
        child = handle._session.publisher._process.pid
        os.kill(child, signal.{which})
    if step == 4000 and "{which}" == "SIGSTOP":
        os.kill(child, signal.SIGKILL)
    """
    out = run_script(script(5000, inside=textwrap.dedent(inside).strip().replace("\n", "\n    ")), tmp_path, QT_QPA_PLATFORM="offscreen")
    assert out.returncode == 0, out.stderr
    assert "trained 4999" in out.stdout


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_close_closes_the_window_and_wait_waits_for_that(tmp_path):
    inside = """
    if step == 10:
        import time
        while not handle._session.publisher.connected: time.sleep(0.02)
        child = handle._session.publisher._process
        assert not handle.wait(0.2)
        handle.close()
        assert handle.wait(0.2)
        print("left with", child.wait(30), flush=True)
    """
    out = run_script(script(inside=textwrap.dedent(inside).strip().replace("\n", "\n    ")), tmp_path, QT_QPA_PLATFORM="offscreen")
    assert out.returncode == 0, out.stderr
    assert "left with 0" in out.stdout
    assert "trained 19" in out.stdout


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_stops_only_training(tmp_path):
    path = tmp_path / "train.py"
    told = "print(handle._session.publisher.connected and handle._session.publisher._process.pid, flush=True)"
    path.write_text(script(10**9, inside=told))
    env = environment(QT_QPA_PLATFORM="offscreen")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([sys.executable, str(path)], env=env, cwd=tmp_path, start_new_session=True, **pipes) as process:
        child = next(int(line) for line in process.stdout if line.strip().isdigit())
        os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()
        assert process.wait(60) != 0
    os.kill(child, 0)  # the window is alive
    os.kill(child, signal.SIGKILL)


def test_a_loss_that_nobody_keeps_is_seen_and_changes_nothing():
    """The script drops the loss at once, so without a viewer it is not even computed."""

    def run(watch):
        torch.manual_seed(4)
        model = Tiny()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        handle = attach(model, window=False) if watch else None
        for _ in range(12):
            x, y = torch.randn(16, 6), torch.randint(0, 3, (16,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        return model, handle

    plain, _ = run(False)
    watched, handle = run(True)
    handle._settle()
    losses = np.concatenate([values for _, _, values in handle._session.publisher.history._curves["loss"]])
    handle.detach()
    assert len(losses) == 12
    assert losses[-1] < losses[0]
    for a, b in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(a, b)


def test_evaluations_are_no_part_of_the_step():
    torch.manual_seed(4)
    model = Tiny()
    handle = attach(model, window=False)
    train(model, 3)
    handle._settle()
    before = len(handle._session._snapshot)
    with torch.no_grad():
        for n in (5, 7):
            model(torch.randn(n, 6)).sum().item()
    train(model, 3)
    handle._settle()
    batches = {handle._session._snapshot.shape(i)[0] for i, op in enumerate(handle._session._snapshot.column("op")) if op == "layer_norm"}
    handle.detach()
    assert batches == {16}
    assert len(handle._session._snapshot) <= before


def test_a_smaller_last_batch_is_passed_over_and_a_new_size_is_followed():
    def batch(session):
        graph = session._snapshot
        (norm,) = [i for i in range(len(graph)) if graph.text("op", i) == "layer_norm"]
        return session._nodes[norm].shape[0], graph.shape(norm)[0]

    torch.manual_seed(4)
    model = Tiny()
    handle = attach(model, window=False)
    session = handle._session
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def train_with(*sizes):
        for n in sizes:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(n, 6)), torch.randint(0, 3, (n,))).backward()
            optimizer.step()
            handle._settle()

    try:
        for _ in range(4):
            train_with(16, 16, 16, 16, 5)
            assert batch(session) == (16, 16)
        epoch = session.epoch
        train_with(*[5] * 12)
        assert batch(session) == (5, 5)
        assert session.epoch == epoch + 1
        train_with(*[16] * 12)
        assert batch(session) == (16, 16)
        assert all(session._kernels[k] is not None for k in session._snapshot.kernel.tolist() if k >= 0)
        trouble = session.trouble
    finally:
        handle.detach()
    assert not trouble


def test_places_that_another_model_used_first_stand_in_this_one():
    """Places for data, and what is computed from data alone, are shared by all models: their sites are those of the first."""

    class Flat(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.flatten, self.head = nn.Flatten(), nn.Linear(6, width)

        def forward(self, x):
            return self.head(self.flatten(x * 3))

    class Other(Flat):
        pass

    def graph_of(model):
        handle = attach(model, window=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for sizes in (16, 16, 16, 5, 16):
            optimizer.zero_grad()
            model(torch.randn(sizes, 2, 3)).square().mean().backward()
            optimizer.step()
            handle._settle()
        graph, epoch = handle._session._snapshot, handle._session.epoch
        handle.detach()
        assert graph.shape(graph.column("op").index("linear"))[0] == 16 and epoch <= 2, "the batch of 5 is passed over"
        return graph

    torch.manual_seed(4)
    arena.compact(everything=True)
    others = Other(4)
    for _ in range(3):
        others(torch.randn(5, 2, 3)).square().mean().backward()  # the place of the small batch is first seen here
    first = graph_of(Flat(3))
    scopes = [s for s, kind in zip(first.column("scope"), first.kind, strict=True) if KINDS[kind] in ("input", "op")]
    assert not [s for s in scopes if "Other" in s] and "Flat" in scopes
    graph_of(Other(3))


def test_parts_that_are_called_by_themselves_are_parts_of_their_model():
    model = nn.ModuleDict({"generator": nn.Sequential(nn.Linear(3, 4), nn.Tanh()), "judge": nn.Sequential(nn.Linear(4, 1))})
    handles = [attach(model, window=False) for _ in range(2)]
    made = model["judge"](model["generator"](torch.randn(2, 3)))
    assert node_of(made).site[0] == "ModuleDict.judge.0 (Linear)"
    handles[0].detach()
    with pytest.raises(RuntimeError) as caught:
        model["judge"](torch.randn(2, 5))
    assert "in ModuleDict.judge.0 (Linear)" in caught.value.__notes__
    assert node_of(nn.Sequential(nn.ReLU())(torch.randn(2, 7))).site[0] == "Sequential.0 (ReLU)", "another model's"
    handles[1].detach()
    assert node_of(model["judge"](torch.randn(5, 4))).site[0] == "Sequential.0 (Linear)"
