"""repr(tensor), character by character."""

import math
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

OPTIONS = [
    {},
    {"sci_mode": True},
    {"sci_mode": False},
    {"precision": 2},
    {"linewidth": 40},
    {"threshold": 5, "edgeitems": 2},
    {"edgeitems": 1, "threshold": 3},
    {"profile": "short"},
    {"profile": "full"},
]
TYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "bool", "uint8"]


@pytest.fixture(autouse=True)
def usual_options():
    yield
    for lib in (torch, ours):
        lib.set_printoptions(profile="default", sci_mode=None)


def values(random, kind, shape):
    a = random.standard_normal(shape) * 10.0 ** random.integers(-6, 10)
    if kind == "whole":
        return np.round(a)
    if kind == "with NaN":
        return np.where(random.random(shape) < 0.2, math.nan, a)
    if kind == "whole with infinity":
        return np.where(random.random(shape) < 0.2, -math.inf, np.round(random.standard_normal(shape) * 3))
    if kind == "sparse":
        return a * (random.random(shape) < 0.3)
    if kind == "of many sizes":
        return random.standard_normal(shape) * 10.0 ** random.integers(-3, 3, size=shape)
    return np.zeros(shape) * -1 if kind == "negative zero" else a


def both(a, name):
    return [repr(lib.from_numpy(a).to(getattr(lib, name))) for lib in (torch, ours)]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", ["plain", "whole", "with NaN", "whole with infinity", "sparse", "of many sizes", "negative zero"])
def test_numbers(options, kind):
    for lib in (torch, ours):
        lib.set_printoptions(**options)
    random = np.random.default_rng(0)
    for i in range(40):
        shape = tuple(int(n) for n in random.integers(0 if i % 6 == 0 else 1, 9, size=random.integers(0, 5)))
        a, name = np.asarray(values(random, kind, shape)), TYPES[i % len(TYPES)]
        if name in ("int64", "int32", "uint8"):
            a = np.clip(np.nan_to_num(np.round(a)), -1e9, 1e9)
            a = np.abs(a) % 200 if name == "uint8" else a
        want, got = both(np.asarray(a, np.float64), name)
        assert got == want


@pytest.mark.parametrize("shape", [(40, 50), (2000,), (3, 4, 400), (7, 8, 9, 10), (1001,), (1000,)])
def test_long_tensors_are_cut(shape):
    want, got = both(np.random.default_rng(1).standard_normal(shape), "float32")
    assert got == want


SUFFIXES = {
    "a leaf": lambda T: T.ones(3, requires_grad=True),
    "a result": lambda T: kept(T.ones(3, requires_grad=True), lambda x: x * 2),
    "a long line": lambda T: kept(T.ones(9, requires_grad=True), lambda x: x + 1.5),
    "a type": lambda T: kept(T.ones(2, dtype=T.float64, requires_grad=True), lambda x: x.exp()),
    "a type and a long line": lambda T: T.arange(12, dtype=T.int32),
    "a view": lambda T: kept(T.ones(3, requires_grad=True), lambda x: x.view(3, 1)),
    "a row": lambda T: kept(T.ones(3, requires_grad=True), lambda x: x[0]),
    "indices": lambda T: kept(T.ones(3, requires_grad=True), lambda x: x[[0, 1]]),
    "a sum": lambda T: kept(T.ones(3, requires_grad=True), lambda x: x.sum()),
    "a scalar": lambda T: T.tensor(1.5),
    "a bool": lambda T: T.tensor([True, False]),
    "nothing": lambda T: T.tensor([]),
    "nothing of a shape": lambda T: T.zeros(0, 3),
    "nothing of a type": lambda T: T.tensor([], dtype=T.int64),
    "nothing that wants a gradient": lambda T: T.zeros(2, 0, requires_grad=True),
    "complex numbers": lambda T: T.tensor([1 + 2j, 3.5 - 1j]),
    "complex doubles": lambda T: T.tensor([1e-6 + 2j], dtype=T.complex128),
    "a list": lambda T: [T.ones(1), T.tensor(2)],
    "a parameter": lambda T: T.nn.Parameter(T.ones(2)),
}
_alive = []


def kept(x, f):
    _alive.append(x)
    return f(x)


@pytest.mark.parametrize("make", SUFFIXES.values(), ids=SUFFIXES)
def test_suffixes(make):
    assert repr(make(ours)) == repr(make(torch))
    assert str(make(ours)) == str(make(torch))


def test_the_default_type_is_not_named():
    try:
        for lib in (torch, ours):
            lib.set_default_dtype(lib.float64)
        assert repr(ours.tensor([1.5])) == repr(torch.tensor([1.5])) == "tensor([1.5000])"
        assert repr(ours.ones(1, dtype=ours.float32)) == repr(torch.ones(1, dtype=torch.float32))
    finally:
        for lib in (torch, ours):
            lib.set_default_dtype(lib.float32)


def test_contents_can_be_replaced():
    assert ours.ones(2).__repr__(tensor_contents="...") == torch.ones(2).__repr__(tensor_contents="...")


def test_a_profile_of_another_name_sets_nothing():
    # some packages ask for profile="long", which PyTorch passes over
    for lib in (torch, ours):
        lib.set_printoptions(profile="short")
        lib.set_printoptions(profile="long", linewidth=60)
    assert repr(ours.arange(30) / 7) == repr(torch.arange(30) / 7)


def test_formatting_of_scalars():
    for spec in ("", ".3f", ">10.2f"):
        assert format(ours.tensor(1.25), spec) == format(torch.tensor(1.25), spec)
    assert f"{ours.tensor([1.25])}" == f"{torch.tensor([1.25])}"


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_limits_of_floating_point_types(dtype):
    assert repr(ours.finfo(getattr(ours, dtype))) == repr(torch.finfo(getattr(torch, dtype)))


def test_results_and_schedules_are_named_by_where_they_are_offered():
    results = ours.arange(4.0).view(2, 2).max(0)
    copy = pickle.loads(pickle.dumps(results))
    assert type(copy) is type(results) and copy.values.tolist() == [2.0, 3.0]
    sgd = ours.optim.SGD([ours.nn.Parameter(ours.ones(1))], lr=0.1)
    schedule = ours.optim.lr_scheduler.StepLR(sgd, 1)
    for x, home in ((results, ours.return_types), (schedule, ours.optim.lr_scheduler)):
        assert type(x).__module__ == home.__name__
    assert pickle.loads(pickle.dumps(schedule)).state_dict() == schedule.state_dict()


def test_options_for_a_block():
    x = [1.23456, 1e-7]
    for T in (ours, torch):
        with T._tensor_str.printoptions(precision=2, sci_mode=False):
            assert repr(T.tensor(x)) == "tensor([1.23, 0.00])"
    assert repr(ours.tensor(x)) == repr(torch.tensor(x))
