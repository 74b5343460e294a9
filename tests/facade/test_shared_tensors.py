"""Tensors that several threads use at once: a reader sees what was there at some point of the writer's program, and changes nothing of it.

A second thread acts at chosen points of the first one's program (`elsewhere` waits for it), so that every run is the same.
"""

import copy
import io
import subprocess
import sys
import threading

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.asg import trace


class Elsewhere:
    """Calls functions in one thread beside the test's own, and waits for each."""

    def __init__(self):
        self._asked, self._done, self._work = threading.Semaphore(0), threading.Semaphore(0), None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            self._asked.acquire()
            if self._work is None:
                return
            try:
                self._result = self._work(), None
            except BaseException as error:
                self._result = None, error
            self._work = ()
            self._done.release()

    def __call__(self, function):
        self._work = function
        self._asked.release()
        self._done.acquire()
        (result, error), self._result = self._result, None
        if error is not None:
            raise error
        return result

    def end(self):
        self._work = None
        self._asked.release()
        self._thread.join()


@pytest.fixture
def elsewhere():
    other = Elsewhere()
    yield other
    other.end()


def model_of():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def batches(count):
    rng = np.random.default_rng(1)
    return [(rng.standard_normal((6, 5)).astype("f"), rng.standard_normal((6, 3)).astype("f")) for _ in range(count)]


def train(model, kind, between=lambda: None, steps=6):
    """Steps of training; `between` is called after every call of the script that records something."""
    optimizer = {
        "adam": lambda: torch.optim.Adam(model.parameters(), lr=0.01),
        "momentum": lambda: torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        "by hand": lambda: None,
    }[kind]()
    for i, (x, y) in enumerate(batches(steps)):
        x, y = torch.tensor(x), torch.tensor(y)
        h = x
        for layer in model:
            h = layer(h)
            between()
        loss = (h - y).square().mean()
        between()
        for p in model.parameters():
            p.grad = None
        loss.backward()
        between()
        if optimizer is not None:
            optimizer.step()
        else:
            with torch.no_grad():
                for p in model.parameters():
                    p -= 0.05 * p.grad
                    between()
        between()
        if i % 2:
            loss.item()
            between()
    return {k: v.detach().numpy().copy() for k, v in model.state_dict().items()}


@pytest.fixture(scope="module")
def alone():
    """What each training gives without a second thread."""
    return {kind: train(model_of(), kind) for kind in ("adam", "momentum", "by hand")}


def saved(model):
    file = io.BytesIO()
    torch.save(model.state_dict(), file)


def own_copies(model):
    for p in model.parameters():
        mine = p.detach().clone()
        mine.mul_(0).add_(1)
        assert mine.max().item() == 1


def evaluated(model):
    with torch.no_grad():
        h = model[2](model[0](torch.ones(2, 5)))
        assert np.isfinite(model[3](h).sum().item())


READERS = {
    "arrays": lambda model: [v.cpu().numpy().copy() for v in model.state_dict().values()],
    "norms": lambda model: [p.detach().abs().sum().item() for p in model.parameters()],
    "norms with history": lambda model: [p.abs().sum().item() for p in model.parameters()],
    "buffers": lambda model: [b.float().sum().item() for b in model.buffers()],
    "gradients": lambda model: [p.grad.abs().sum().item() for p in model.parameters() if p.grad is not None],
    "deep copy": copy.deepcopy,
    "checkpoint": saved,
    "own copies": own_copies,
    "evaluation": evaluated,
    "pending": lambda model: [p.detach() * 2 for p in model.parameters()],
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["adam", "momentum", "by hand"])
def test_a_reader_at_every_point_changes_nothing(elsewhere, alone, kind, reader):
    model, kept = model_of(), []
    got = train(model, kind, lambda: kept.append(elsewhere(lambda: READERS[reader](model))))
    for name, value in alone[kind].items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


@pytest.mark.parametrize("kind", ["adam", "momentum", "by hand"])
def test_a_checkpoint_holds_the_values_of_its_moment(elsewhere, kind):
    model, steps = model_of(), 4
    moments, seen = [], []

    def look():
        moments.append([p.detach().numpy().copy() for p in model.parameters()])
        seen.append(elsewhere(lambda: [p.detach().numpy().copy() for p in model.parameters()]))

    train(model, kind, look, steps)
    for here, there in zip(moments, seen, strict=True):
        for a, b in zip(here, there, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_was_recorded_before_a_step_holds_the_values_before_it(elsewhere):
    p = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([p], lr=1.0)
    before = elsewhere(lambda: (p.detach().clone(), p.detach() * 2, p * 3))
    for expected in (1.0, 0.0, -1.0):
        assert p.tolist() == [expected] * 3
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()
    assert elsewhere(lambda: [t.tolist() for t in before]) == [[1.0] * 3, [2.0] * 3, [3.0] * 3]
    assert elsewhere(lambda: p.tolist()) == [-2.0] * 3


@pytest.mark.parametrize("spelled", ["lerp", "product"])
def test_an_average_kept_in_another_thread_takes_every_step_in(elsewhere, spelled):
    p = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([p], lr=1.0)
    average, expected, value = elsewhere(lambda: [torch.zeros(2)]), 0.0, 1.0

    def take_in():
        if spelled == "lerp":
            with torch.no_grad():
                average[0].lerp_(p.detach(), 0.5)
        else:
            average[0] = 0.5 * average[0] + 0.5 * p.detach()

    for _ in range(5):
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()
        value -= 1.0
        expected = 0.5 * expected + 0.5 * value
        elsewhere(take_in)
    assert elsewhere(lambda: average[0].tolist()) == [expected] * 2


def test_reads_without_gradients_follow_a_loop_that_reads_nothing(elsewhere):
    p = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([p], lr=1.0)
    total = elsewhere(lambda: [torch.zeros(2)])

    def add():
        with torch.no_grad():
            total[0] = total[0] + p

    for _ in range(4):
        optimizer.zero_grad()
        (-p.sum()).backward()
        optimizer.step()
        elsewhere(add)
    assert elsewhere(lambda: total[0].tolist()) == [10.0, 10.0]


def test_two_threads_step_one_model(elsewhere):
    p = nn.Parameter(torch.zeros(2))

    def step():
        optimizer = torch.optim.SGD([p], lr=1.0)
        (p.sum() * -1).backward()
        optimizer.step()
        p.grad = None

    for _ in range(3):
        step()
        elsewhere(step)
    assert p.tolist() == [6.0, 6.0]


def test_a_step_from_gradients_of_older_values_starts_at_the_newest(elsewhere):
    p, q = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    first, second = torch.optim.SGD([p], lr=1.0), torch.optim.SGD([q], lr=1.0)
    q.data = p.data  # another name, with a gradient of its own
    (p * p).sum().backward()
    elsewhere(lambda: (q * 3).sum().backward())
    elsewhere(second.step)
    first.step()
    assert p.tolist() == [-4.0, -4.0]


def test_writes_by_hand_in_two_threads_are_all_seen(elsewhere):
    t = torch.zeros(3)
    t += torch.ones(3)

    def add(value):
        t.add_(torch.full((3,), value))

    for value in (2.0, 4.0):
        elsewhere(lambda value=value: add(value))
        add(10 * value)
    assert t.tolist() == [67.0] * 3 and elsewhere(lambda: t.tolist()) == [67.0] * 3


def test_data_used_by_two_threads_is_not_mixed_up(elsewhere):
    shared = [torch.tensor([float(i), 1.0]) for i in range(4)]
    pending = [elsewhere(lambda t=t: t * 2) for t in shared[:2]]
    here = [t * 3 for t in reversed(shared)]
    assert [h.tolist() for h in here] == [[9.0, 3.0], [6.0, 3.0], [3.0, 3.0], [0.0, 3.0]]
    pending += [elsewhere(lambda t=t: t * 2) for t in shared[2:]]
    assert elsewhere(lambda: [t.tolist() for t in pending]) == [[0.0, 2.0], [2.0, 2.0], [4.0, 2.0], [6.0, 2.0]]


def test_a_result_is_read_in_another_thread_before_and_after_its_iteration(elsewhere):
    p = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([p], lr=1.0)
    losses, doubled = [], []
    for i in range(4):
        loss = (p * (i + 1)).sum()
        if i % 2:
            assert elsewhere(lambda loss=loss: loss.item()) == 2 * (i + 1) * p[0].item()
        doubled.append(elsewhere(lambda loss=loss: loss.detach() * 2))
        losses.append((loss, 2 * (i + 1) * p[0].item()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert elsewhere(lambda: [t.item() for t, _ in losses]) == [v for _, v in losses]
    assert elsewhere(lambda: [t.item() for t in doubled]) == [2 * v for _, v in losses]


def in_a_thread(function):
    """Call it in a thread that has ended when this returns."""
    box = []
    thread = threading.Thread(target=lambda: box.append(function()))
    thread.start()
    thread.join()
    return box[0]


def test_what_a_thread_left_is_computed_from_the_values_it_read():
    p = nn.Parameter(torch.ones(3))
    table = torch.zeros(3)

    def work():
        loss = (p * torch.tensor([1.0, 2.0, 3.0])).sum()
        table.add_(loss.detach())
        return loss

    loss = in_a_thread(work)
    with torch.no_grad():
        p.mul_(10)
    assert loss.item() == 6.0 and table.tolist() == [6.0] * 3 and p.tolist() == [10.0] * 3
    loss.backward()
    assert p.grad.tolist() == [1.0, 2.0, 3.0]
    assert not trace.left


def test_backward_in_another_thread_than_forward(elsewhere):
    p = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([p], lr=1.0)
    for i in range(3):
        optimizer.zero_grad()
        loss = (p * torch.tensor([1.0, float(i)])).sum()
        elsewhere(loss.backward) if i else in_a_thread(loss.backward)
        optimizer.step()
    assert p.tolist() == [-2.0, -2.0]


def test_two_threads_differentiate_one_graph(elsewhere):
    p = nn.Parameter(torch.ones(2))
    loss = (p * p).sum()
    loss.backward(retain_graph=True)
    elsewhere(lambda: loss.backward(retain_graph=True))
    assert p.grad.tolist() == [4.0, 4.0]


def test_hooks_run_where_backward_is_called(elsewhere):
    p = nn.Parameter(torch.ones(2))
    ran = []
    y = p * 3
    y.register_hook(lambda g: ran.append((threading.get_ident(), g.tolist())))
    elsewhere(lambda: y.sum().backward())
    assert ran == [(elsewhere._thread.ident, [1.0, 1.0])] and p.grad.tolist() == [3.0, 3.0]


def test_an_array_shared_with_numpy_from_another_thread_follows_the_training(elsewhere):
    p = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([p], lr=1.0)
    array = elsewhere(lambda: p.detach().numpy())
    p.sum().backward()
    optimizer.step()
    assert p.tolist() == [0.0, 0.0] and array.tolist() == [0.0, 0.0]


ENDED = """
import threading
import torchlike_asg as torch
from torchlike_asg.asg import trace
t = threading.Thread(target=lambda: (torch.ones(2) * 2).sum().item())
t.start()
t.join()
(torch.ones(2) + 1).sum().item()
assert not trace.several
"""


def test_one_thread_pays_nothing_for_others_that_have_ended():
    """In a process of its own: here threads of other tests may go on."""
    subprocess.run([sys.executable, "-c", ENDED], check=True, timeout=120)


def test_threads_at_once():
    """No order of two readers and a trainer changes the training, fails or hangs."""
    expected = train(model_of(), "adam")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        model, over, errors = model_of(), threading.Event(), []

        def read(*names):
            try:
                while not over.is_set():
                    for name in names:
                        READERS[name](model)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=read, args=names) for names in (("own copies", "checkpoint"), ("norms", "evaluation"))]
        for thread in threads:
            thread.start()
        try:
            got = train(model, "adam", steps=6)
        finally:
            over.set()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not errors
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def test_several_threads_train_one_model():
    model, errors = model_of(), []

    def work():
        try:
            train(model, "momentum", steps=6)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert all(np.isfinite(v).all() for v in [p.detach().numpy() for p in model.parameters()])
    assert (model[3].bias.detach().numpy() != model_of()[3].bias.detach().numpy()).any()
