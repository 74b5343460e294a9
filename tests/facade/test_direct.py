"""Writes of data into data happen at once, and nobody notices."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg import asg  # noqa: E402
from torchlike_asg.facade import direct  # noqa: E402

from .compare import same, same_error  # noqa: E402


def data(T, *shape):
    return T.tensor(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))


def nodes_of(run):
    before = asg.stats()["nodes"]
    run()
    return asg.stats()["nodes"] - before


def test_counting_pairs():
    """The loop of every bigram model: one element of a small table after another."""
    pairs = np.random.default_rng(0).integers(0, 9, size=(500, 2)).tolist()

    def run(T):
        table = T.zeros((9, 9), dtype=T.int32)
        for i, j in pairs:
            table[i, j] += 1
        return table, table.sum(), table._version

    same(run)
    table = ours.tensor(np.zeros((9, 9), np.int32))

    def count():
        for i, j in pairs:
            table[i, j] += 1

    assert nodes_of(count) == 0 and int(table.sum()) == 500


def test_a_pile_of_writes_makes_a_result_data():
    table = ours.zeros(200)

    def fill():
        for i in range(200):
            table[i] = i

    assert nodes_of(fill) < 10 * direct.PILE  # far from what all 200 would record
    assert table.tolist() == list(range(200))


def test_a_pile_at_the_same_line_is_data_sooner():
    """The sum of an iteration: a new storage in each, written at the same lines."""
    x, parts = ours.ones(9, 4) * 3, data(ours, 80, 4)

    def iteration():
        total = ours.zeros_like(x)
        for i in range(80):
            total[i % 9] += parts[i]
        return total

    first = nodes_of(iteration)
    assert first > direct.PILE and nodes_of(iteration) < 20
    want = np.zeros((9, 4), np.float32)
    np.add.at(want, np.arange(80) % 9, parts.numpy())
    np.testing.assert_array_equal(iteration().numpy(), want)


def test_results_at_places_that_change_build_no_plans():
    """The rollout buffer of an agent: a result is written to the next row, and a number of the step is read."""

    def run(T):
        net = T.nn.Linear(3, 2)
        with T.no_grad():
            net.weight.copy_(data(T, 2, 3))
            net.bias.zero_()
        rows, columns, x = T.zeros(60, 2), T.zeros(2, 60, dtype=T.float64), data(T, 3)
        plans = []
        for step in range(60):
            with T.no_grad():
                y = net(x)
                rows[step] = y
                columns[:, step] = y * 2
                x = x.roll(1) + y.sum() * 0.01
            x = x.clamp(-3, 3) if y[0].item() < 1e9 else x
            plans.append(asg.stats()["plans"])
        return rows, columns, x, plans

    *found, plans = run(ours)
    *wanted, _ = run(torch)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5)
    assert plans[-1] == plans[2 * direct.PLACES + 2]


def test_results_that_are_not_read_between_are_recorded_together():
    rows = data(ours, 60, 3)
    rows.sum().item()
    before = asg.stats()["plans"]
    total = rows[0]
    with ours.no_grad():
        for step in range(59):
            total = total * 0.5 + 1
            rows[step] = total
    assert asg.stats()["plans"] == before
    assert rows[58, 0].item() == pytest.approx(2.0)


def test_a_ring_buffer():
    buffer = data(ours, 10, 3)

    def step():
        for i in range(50):
            buffer[i % 10] = ours.tensor([float(i)] * 3)
            buffer[i % 10, 1] = -1.0

    assert nodes_of(step) == 0
    assert buffer[9].tolist() == [49.0, -1.0, 49.0]


WRITES = {
    "a number": lambda T, x: x.__setitem__(0, 2.5),
    "an integer into floats": lambda T, x: x.__setitem__((0, 1), 2),
    "a slice": lambda T, x: x.__setitem__((slice(None), slice(1, 3)), data(T, 3, 2)),
    "another type": lambda T, x: x.__setitem__(0, T.arange(4)),
    "indices": lambda T, x: x.__setitem__([0, 2], data(T, 2, 4) * 1),
    "known indices": lambda T, x: x.__setitem__(T.tensor([2, 0]), data(T, 2, 4)),
    "known mask": lambda T, x: x.__setitem__(T.tensor([True, False, True]), 9.0),
    "known mask of all": lambda T, x: x.__setitem__(T.tensor([[True, False, True, False]] * 3), T.tensor(-2)),
    "through a view": lambda T, x: x.t()[1:].__setitem__(0, 8.0),
    "its own region": lambda T, x: x.__setitem__(1, x[1]),
    "its own other region": lambda T, x: x.__setitem__(1, x[0]),
    "+=": lambda T, x: x.__setitem__(1, x[1].add_(1)),
    "*= a row": lambda T, x: x.mul_(T.tensor([1.0, 2.0, 3.0, 4.0])),
    "-= a scalar": lambda T, x: x.sub_(T.tensor(0.5)),
    "-= with alpha": lambda T, x: x.sub_(2, alpha=3),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("name", ["float32", "float64", "int64", "bfloat16"])
def test_writes(write, name):
    def run(T):
        x = data(T, 3, 4).to(getattr(T, name))
        x.tolist()
        view, copy, before = x[:2], x.clone(), x.float() * 2
        write(T, x)
        return x, view, copy, before, x._version

    same(run)


def test_what_was_recorded_before_keeps_the_old_values():
    x = data(ours, 4)
    y, z, row = x * 2, x[1:] + 1, x[2]
    x[2] = 100.0
    x += 1
    assert y.tolist() == [0.0, 2.0, 4.0, 6.0] and z.tolist() == [2.0, 3.0, 4.0] and row.item() == 101.0


def test_clones_do_not_change():
    x = data(ours, 4)
    a = x.clone()
    ours.sync()
    with pytest.warns(UserWarning, match="copy construct") as seen:
        b = ours.tensor(x)
    assert seen[0].filename == __file__  # the user's line
    x[0] = 9.0
    a[1] = 8.0
    assert (x.tolist(), a.tolist(), b.tolist()) == ([9.0, 1.0, 2.0, 3.0], [0.0, 8.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0])


def test_arrays_see_writes():
    array = np.zeros(3, np.float32)
    x = ours.from_numpy(array)
    x[1] = 5.0
    assert array.tolist() == [0.0, 5.0, 0.0]
    y = data(ours, 3)
    shared = y.numpy()
    y[2] = 7.0
    assert shared.tolist() == [0.0, 1.0, 7.0]


def test_a_storage_that_numpy_looks_at_takes_results_without_plans():
    """The values of a rollout, of which an array from the last update lives on; and a table made by from_numpy."""

    def run(T):
        w = data(T, 3)
        (w * 2).sum().item()
        rows, table = T.zeros(40, 3), np.zeros((40, 3))
        rows.sum().item()
        seen, mine, out, plans = rows.numpy(), T.from_numpy(table), [], []
        for step in range(40):
            y = (w + step).sqrt()
            before = rows * 2
            rows[step] = y
            mine[step] = y.double()
            mine[step, 1] = -1.0
            seen[step, 2] = table[step, 0] = -2.0  # foreign writes, also where a write follows
            rows[step, 1] = 5.0
            out += [y[0].item(), float(seen[step].sum()), float(table.sum())]
            plans.append(asg.stats()["plans"])
            if step % 9 == 0:
                out += [before.sum().item(), rows.sum().item(), mine.sum().item()]
        versions = rows._version, mine._version
        del seen
        rows[0] = w * 3
        return out, rows, mine, versions, plans

    *found, plans = run(ours)
    *wanted, _ = run(torch)
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-6)
    for a, b in zip(found[1:3], wanted[1:3], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)
    assert found[3] == wanted[3]
    assert plans[35] == plans[20]


def test_versions_guard_gradients():
    for lib in (torch, ours):
        x, w = data(lib, 3), lib.ones(3, requires_grad=True)
        y = (w * x).sum()
        x[0] = 5.0
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.backward()


def test_history_is_recorded_as_ever():
    def run(T):
        x, w = data(T, 3, 2), T.ones(2, requires_grad=True)
        x[0] = w * 3
        x[1] += w
        (x * x).sum().backward()
        return x, w.grad

    same(run)


ERRORS = {
    "a float into integers": lambda T: T.tensor([1, 2]).add_(1.5),
    "too large": lambda T: T.tensor([1], dtype=T.uint8).add_(T.tensor([1.5])),
    "a wider shape": lambda T: data(T, 2).add_(data(T, 3, 2)),
    "a wrong shape": lambda T: data(T, 3, 2).__setitem__(0, data(T, 3)),
    "a wrong shape for a column": lambda T: data(T, 2, 3)[:, 0].__setitem__(slice(None), T.ones(3)),
    "an expanded target": lambda T: data(T, 3)[:1].expand(3).add_(1),
    "an index out of range": lambda T: data(T, 3).__setitem__(T.tensor([3]), 1.0),
}


@pytest.mark.parametrize("f", ERRORS.values(), ids=ERRORS)
def test_errors(f):
    same_error(f)


def test_values_without_an_integer():
    for value in (float("nan"), float("inf")):
        x = ours.tensor([1, 2])
        with pytest.raises((RuntimeError, ValueError, OverflowError)):
            x[0] = value
            x.tolist()


def address(x):
    return x._f.cell.buf.__array_interface__["data"][0]


def test_memory_that_nobody_else_refers_to_is_written_in_place():
    x = data(ours, 100)
    x[0] = 1.0
    before = address(x)
    for i in range(100):
        x[i] = 2.0
    assert address(x) == before and x.tolist() == [2.0] * 100


def computed_clone(x):
    clone = x.clone()
    ours.sync()
    return clone


HOLDERS = {
    "an array": lambda x: x._f.cell.buf,
    "a view of it": lambda x: x._f.cell.buf[1:],
    "a recorded operation": lambda x: x * 1,
    "an operation on a view": lambda x: x[1:] * 1,
    "a computed clone": computed_clone,
    "a module's copy": lambda x: ours.nn.Parameter(x.clone()),
    "a history": lambda x: x * ours.ones(4, requires_grad=True),
    "what a history keeps": lambda x: ours.autograd.grad((x * (w := ours.ones(4, requires_grad=True))).sum(), w)[0],
    "a deep copy": lambda x: copy.deepcopy(x),
    "a state": lambda x: ours.optim.Optimizer([ours.ones(1, requires_grad=True)], {"at": x.clone()}).defaults["at"],
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_whoever_captured_the_values_keeps_them(hold):
    x = data(ours, 4)
    x[0] = 5.0
    held = hold(x)
    for i in range(4):
        x[i] = -1.0
    expected = [5.0, 1.0, 2.0, 3.0]
    got = held.tolist()
    assert got == expected[4 - len(got) :] and x.tolist() == [-1.0] * 4


def test_random_writes_and_captures():
    """Direct and recorded writes, captures and reads in random order."""

    def run(T):
        random = np.random.default_rng(5)
        x, kept, w = data(T, 6, 4), [], T.ones(4, requires_grad=True)
        for _ in range(300):
            i, j = (int(v) for v in random.integers(0, (6, 4)))
            match int(random.integers(9)):
                case 0:
                    x[i, j] = float(random.integers(9))
                case 1:
                    x[i] += 1
                case 2:
                    x[:, j] = x[:, (j + 1) % 4]
                case 3:
                    x.mul_(0.5)
                case 4:
                    kept.append(x * 2)
                case 5:
                    kept.append(x[i].clone())
                case 6:
                    kept.append((x[i] * w).sum())
                case 7:
                    kept.append(x.sum().item())
                case 8:
                    x[i].copy_(T.full((4,), float(j)))
        kept[-1] = x.sum().item()
        loss = sum(k for k in kept if not isinstance(k, float) and k.requires_grad and not k.shape)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()
        return x, x._version, kept

    same(run)


def test_sums_of_two_numbers_are_written_at_once():
    """A table that is filled with sums of elements, as generators of synthetic data do it."""

    def run(T):
        x = T.from_numpy(np.random.default_rng(0).random((200, 6))).to(T.float32)
        table = T.zeros([200, 1])
        for i in range(200):
            table[i, 0] = x[i, 1] + x[i, 4]
        return table, x * 2

    before = ours.asg.stats()
    table, doubled = run(ours)
    after = ours.asg.stats()
    assert after["plans"] - before["plans"] <= 4 and after["nodes"] - before["nodes"] < 600
    expected = run(torch)
    np.testing.assert_array_equal(table.numpy(), expected[0].numpy())
    np.testing.assert_array_equal(doubled.numpy(), expected[1].numpy())


@pytest.mark.parametrize("name", ["float64", "int64", "int32", "float32"])
def test_data_of_numpy_in_another_type_is_a_copy(name):
    def run(T):
        a = np.arange(-3, 9).reshape(3, 4).astype(name) * 3
        t = T.from_numpy(a).t()
        b = [t.float(), t.to(T.float32), t[1:].double()]
        a[...] = 0
        kept = [(v + 1, v.stride(), v.dtype.is_floating_point) for v in b]
        return [np.array(v[0].tolist()).tolist() for v in kept], [v[1:] for v in kept], [v.untyped_storage().nbytes() == 0 for v in b]

    assert run(ours) == run(torch)


@pytest.mark.parametrize(
    "made", ["ones(())", "full((), 2.5)", "rand(3).new_ones(())", "ones_like(T.tensor(3.0))", "ones((), dtype=T.bfloat16)"]
)
def test_a_parameter_that_is_one_number(made):
    """Its memory has no dimensions either: a plan that expected a number refused a vector of one."""

    def run(T):
        p = T.nn.Parameter(eval(f"T.{made}"))
        x = T.arange(4.0).to(p.dtype)
        optimizer = T.optim.SGD([p], 0.125)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = (x * p).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss)
        return [*losses, p, p.grad]

    same(run)
