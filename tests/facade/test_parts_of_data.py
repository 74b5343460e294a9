"""Rows and elements of data are read and written as PyTorch does, and record nothing."""

import threading
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg import asg  # noqa: E402
from torchlike_asg.asg import trace  # noqa: E402
from torchlike_asg.facade import direct, parts_of_data  # noqa: E402

from .compare import outcome, same  # noqa: E402


def data(T, *shape):
    return T.tensor(np.arange(np.prod(shape), dtype=np.float32).reshape(shape).tolist())


def nodes_of(run):
    before = asg.stats()["nodes"]
    run()
    return asg.stats()["nodes"] - before


@pytest.fixture
def here(monkeypatch):
    """How often a write was done here."""
    count = {"store": 0, "update": 0}

    def counting(name):
        f = getattr(parts_of_data, name)

        def counted(*args):
            done = f(*args)
            count[name] += done
            return done

        return counted

    for name in count:
        monkeypatch.setattr(parts_of_data, name, counting(name))
    return count


def test_rows_added_up_at_indices_that_an_operation_has_read(here):
    """The gradient of an embedding, summed by hand: the indices are operands of the forward pass, too."""

    def run(T):
        table, weight, at = data(T, 5, 3), data(T, 3, 3), T.tensor([[0, 4], [2, 2], [-1, 0]] * 4)
        out = []
        with T.no_grad():
            for _ in range(3):
                rows = T.tanh(table[at] @ weight)
                total = T.zeros_like(table)
                for i in range(12):
                    for j in range(2):
                        ix = at[i, j]
                        total[ix] += rows[i, j]
                out += [total, rows.sum(), total._version]
        return out

    same(run)
    here.update(store=0, update=0)
    before = asg.stats()["nodes"]
    run(ours)
    assert here == {"store": 69, "update": 66}, "all but the first of each sum, and the addition that finds it as it was computed"
    assert asg.stats()["nodes"] - before < 60


def test_parts_of_data_that_was_read_are_data():
    rows, at = data(ours, 4, 2), ours.tensor([2, 0])
    kept = rows * 2, at + 1

    def read():
        return [rows[i].tolist() for i in range(4)] + [rows[at[i]].tolist() for i in range(2)]

    assert nodes_of(lambda: [rows[at[i]] for i in range(2)]) == 0
    assert read() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0], [4.0, 5.0], [0.0, 1.0]]
    rows[1] = 9.0
    assert rows[1].tolist() == [9.0, 9.0] and kept[0].tolist()[1] == [4.0, 6.0]


CHANGES = {
    "an element by a number": lambda T, x: x.__setitem__((1, 2), x[1, 2].add_(1.5)),
    "an element by an element": lambda T, x: x[1, 2].sub_(x.clone()[0, 1]),
    "an element by one of its own": lambda T, x: x[1, 2].mul_(x[0, 1]),
    "a row by a number": lambda T, x: x[-1].mul_(-3),
    "a row by a row": lambda T, x: x[2].add_(T.tensor([1.0, 2.0, 3.0, 4.0])),
    "a row by a row of integers": lambda T, x: x[2].add_(T.tensor([1, 2, 3, 4])),
    "a column": lambda T, x: x.t()[1].mul_(T.tensor([1.0, 2.0, 3.0])),
    "a row by a column": lambda T, x: x[1, :3].sub_(data(T, 3, 4).t()[2]),
    "a row by an element": lambda T, x: x[0].add_(T.tensor(2.5)),
    "a matrix of a larger one": lambda T, x: T.stack([x, x])[1].add_(x[0]),
    "nothing": lambda T, x: x[0][:0].add_(1),
    "a negative zero": lambda T, x: (x.mul_(-0.0), x[0].add_(-0.0), x[1].add_(0.0), x[2].mul_(-0.0), 1 / x),
    "true": lambda T, x: x[0].add_(True),
    "a large number": lambda T, x: x[0].add_(1e30),
    "too large a number": lambda T, x: x[0, 0].fill_(3e38).mul_(2).add_(1e300),
    "no number": lambda T, x: (x[0].mul_(float("inf")), x[1].add_(float("nan"))),
    "an expanded row": lambda T, x: x[0, :1].expand(4).add_(1),
    "the shape of the value": lambda T, x: x[0].add_(data(T, 2, 4)),
    "assigned: a row": lambda T, x: x.__setitem__(1, T.tensor([1.0, 2.0, 3.0, 4.0])),
    "assigned: a row of itself": lambda T, x: x.__setitem__(1, x[0]),
    "assigned: the same row": lambda T, x: x.__setitem__(1, x[1]),
    "assigned: the same row, out of date": lambda T, x: x.__setitem__(1, x.t().t()[1]),
    "assigned: an element": lambda T, x: x.__setitem__((T.tensor(1), -1), x.clone()[0, 1]),
    "assigned: numbers": lambda T, x: (x.__setitem__((0, 1), 2.5), x.__setitem__(1, -3), x.__setitem__(2, True)),
    "assigned: what does not fit": lambda T, x: x.__setitem__(0, float("inf")),
    "assigned: one element to a row": lambda T, x: x.__setitem__(0, T.tensor([7.0])),
    "assigned: a wrong row": lambda T, x: x.__setitem__(0, data(T, 3)),
    "assigned: out of range": lambda T, x: x.__setitem__(3, 1.0),
    "assigned: out of range, an index": lambda T, x: x.__setitem__((0, T.tensor(-5)), 1.0),
    "assigned: a bool for an index": lambda T, x: x.__setitem__(True, 1.0),
    "assigned: a byte for an index": lambda T, x: x.__setitem__(T.tensor(1, dtype=T.uint8), 1.0),
    "assigned: one row to all": lambda T, x: x.__setitem__(slice(None), x[1]),
    "assigned: one element to a row that has it": lambda T, x: x.__setitem__((0, slice(1, 3)), x[0, 1]),
    "assigned: rows that overlap": lambda T, x: x.__setitem__(slice(0, 2), x[1:]),
    "assigned: elements that overlap": lambda T, x: x.__setitem__((slice(0, 1), slice(0, 2)), x[0, 1:3]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("name", ["float32", "int64", "int8", "bfloat16"])
def test_changes(change, name):
    def run(T):
        x = data(T, 3, 4).to(getattr(T, name))
        x.tolist()
        before, row, clone = x.float() * 2, x[1], x.clone()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = change(T, x)
        return x, row, clone, before, x._version, result

    same(run, rtol=0, atol=0)


def test_results_are_rounded_as_single_precision_is():
    def run(T):
        x = data(T, 3, 4) / 3
        for i in range(12):
            x[i // 4, i % 4] += 0.1
            x[i // 4, i % 4] *= 1.1
            x[i // 4] -= 1e-3
        return x

    same(run, rtol=0, atol=0)


def test_views_made_without_gradients_are_out_of_date_after_a_write():
    def run(T):
        x = data(T, 3, 2)
        with T.no_grad():
            a, b = x[0], x[1]
            a += 1
        kinds = x.unbind(0)
        x[2] = 5.0
        w = T.ones(2, requires_grad=True)
        return [str(type(outcome(lambda _, v=v: (v * w).sum(), T)) is RuntimeError) for v in (a, b, *kinds, x[0])]

    assert outcome(run, ours) == outcome(run, torch)


def test_versions_guard_gradients():
    def run(T):
        x, w = data(T, 3, 2), T.ones(2, requires_grad=True)
        y = (w * x[1]).sum()
        x[1] += x.clone()[0]
        return str(outcome(lambda _: y.backward(), T).__class__.__name__)

    assert outcome(run, ours) == outcome(run, torch) == "RuntimeError"


WATCHED = {
    "an array": lambda x: x.numpy(),
    "another family": lambda x: x.detach(),
    "a family that is gone": lambda x: x.detach() is None,
    "a leaf": lambda x: ours.nn.Parameter(x),
    "a recorded operation": lambda x: x * 1,
    "a view that an operation has read": lambda x: (v := x[1:], v * 1),
}


@pytest.mark.parametrize("watch", WATCHED.values(), ids=WATCHED)
def test_who_watches_a_storage(watch):
    """Whoever shows the memory shows the write; whoever captured the values does not."""
    x = data(ours, 4, 2)
    x[0] = 5.0
    held = watch(x)
    x[1] += x.clone()[0]
    x[2, 0] = -1
    assert x.tolist() == [[5.0, 5.0], [7.0, 8.0], [-1.0, 5.0], [6.0, 7.0]]
    if isinstance(held, np.ndarray) or (isinstance(held, ours.Tensor) and held.data_ptr() == x.data_ptr()):
        assert held.tolist() == x.tolist()
    elif isinstance(held, ours.Tensor):
        assert held.tolist() == [[5.0, 5.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]


def test_memory_that_must_not_be_written_is_replaced():
    x = data(ours, 4)
    x[0] = 1.0
    x._f.cell.buf.flags.writeable = False
    x[1] = 7.0
    x._f.cell.buf.flags.writeable = False
    x[2] += 1
    assert x.tolist() == [1.0, 7.0, 3.0, 3.0]


def test_inference_tensors_are_refused_as_ever():
    with ours.inference_mode():
        x = data(ours, 3)
    for write in (lambda: x.__setitem__(0, 1.0), lambda: x[0].add_(1)):
        with pytest.raises(RuntimeError, match="inference"):
            write()


def test_other_threads_take_the_guarded_way(here):
    x, started, done = data(ours, 4), threading.Event(), threading.Event()

    def other():
        (ours.ones(2) * 2).tolist()
        started.set()
        done.wait()

    thread = threading.Thread(target=other)
    thread.start()
    started.wait()
    x[1] += 1
    done.set()
    thread.join()
    assert here == {"store": 0, "update": 0} and x.tolist() == [0.0, 2.0, 2.0, 3.0]


def test_arithmetic_within_arithmetic():
    """A finalizer may write while a write is under way."""
    a, b = np.ones(1, np.float32), np.full(1, 3e38, np.float32)

    class Ufunc:
        def __call__(self, x, y, out):
            parts_of_data._calm(np.multiply, b, b)
            return np.add(x, y, out)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts_of_data._calm(Ufunc(), a, a)
    assert a.tolist() == [2.0] and b.tolist() == [float("inf")]


def test_a_line_whose_storages_become_data_records_one_write():
    """The sum of an iteration, whose parts are results: the first write has them computed."""
    x, weight, out = data(ours, 9, 4), data(ours, 4, 4), []

    def iteration():
        parts = ours.tanh(x @ weight)
        total = ours.zeros_like(x)
        for i in range(40):
            total[i % 9] += parts[(i * 5) % 9]
        out.append((total, parts))

    first = nodes_of(iteration)
    assert direct.PILE < first < 40 * direct.PILE
    for _ in range(3):
        assert nodes_of(iteration) < 25
    total, parts = out[-1]
    want = np.zeros((9, 4), np.float32)
    np.add.at(want, np.arange(40) % 9, parts.numpy()[(np.arange(40) * 5) % 9])
    np.testing.assert_allclose(total.numpy(), want, rtol=1e-6)


def test_a_line_that_a_gradient_keeps_recorded_is_not_tried_again_soon():
    ours.sync()
    tr = trace.current()  # earlier tests may have taught it to end at reads
    tr.cut, tr.reads, tr.patience = False, 0, trace.READS
    w = ours.ones(4, requires_grad=True)
    x = data(ours, 4)

    def iteration(flushes):
        loss = (w * x).exp().sum()
        total = ours.zeros(8) * 1
        before = asg.stats()["flushes"]
        for i in range(40):
            total[i % 8] = 1.0
        flushes.append(asg.stats()["flushes"] - before)
        loss.backward()
        return total

    flushes = []
    for _ in range(3):
        iteration(flushes)
    assert flushes == [1, 0, 0]
