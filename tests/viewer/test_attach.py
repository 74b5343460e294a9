"""Attaching to training: nothing changes but what one sees."""

import subprocess
import sys
import threading

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import events
from torchlike_asg.asg import scope
from torchlike_asg.compiler import execution
from torchlike_asg.viewer import attach, visualize

from .models import Tiny, train
from .scripts import environment
from .watching import looking_at, messages


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


def test_detaching_leaves_nothing_behind():
    def hooks():
        return execution.execute_plan, dict(events.listeners), events.due, events.doubtful_read, scope.on_failure

    before = hooks()
    handle = attach(Tiny(), window=False)
    assert execution.execute_plan is not before[0]
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


def test_arguments():
    with pytest.raises(ValueError, match="unknown theme"):
        visualize(Tiny(), theme="pink")


def test_the_thread_beside_training_is_a_thread_in_a_forked_worker_too():
    """An attribute of ours that hides one of `Thread` is called by Python after a fork, and by `join`."""
    handle = attach(Tiny(), window=False)
    session = handle._session
    handle.detach()
    ours = set(vars(session)) - set(vars(threading.Thread()))
    assert not ours & set(dir(threading.Thread))
    session.join(60)
    assert not session.is_alive()
