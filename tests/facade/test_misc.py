"""Questions about tensors and types, process-wide settings, per-element functions, names of formats."""

import itertools
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg import formats, namespace  # noqa: E402

from .compare import same, same_error  # noqa: E402

TYPES = ["bool", "uint8", "int8", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128"]


@pytest.mark.parametrize("a", TYPES)
def test_can_cast(a):
    same(lambda T: [T.can_cast(getattr(T, a), getattr(T, b)) for b in TYPES])


def test_result_type():
    def operands(T):  # 0 to 10 with dimensions, 11 to 21 without, then numbers
        full = [T.ones(1, dtype=getattr(T, n)) for n in TYPES]
        zero = [T.ones((), dtype=getattr(T, n)) for n in TYPES]
        return [*full, *zero, True, 3, 2.5, 1j]

    halves, complexes = {5, 16}, {9, 10, 20, 21, 25}  # PyTorch's complex half does not exist here
    pairs = [(i, j) for i, j in itertools.product(range(26), repeat=2) if not ({i, j} & halves and {i, j} & complexes)]
    same(lambda T: [str(T.result_type(all_[i], all_[j])) for all_ in [operands(T)] for i, j in pairs])


def test_questions():
    same(lambda T: [T.is_tensor(T.ones(1)), T.is_tensor(1.0), T.is_tensor(np.ones(1)), T.is_tensor(T.nn.Parameter(T.ones(1)))])
    same(lambda T: [f(T.ones(1, dtype=getattr(T, n))) for n in TYPES for f in (T.is_floating_point, T.is_complex, T.is_signed)])
    same(lambda T: [T.is_nonzero(T.tensor(0.0)), T.is_nonzero(T.tensor([3])), T.tensor(True).is_nonzero()])
    same(lambda T: [T.is_same_size(T.ones(2), T.zeros(2)), T.ones(2).is_same_size(T.ones(3)), T.is_conj(T.ones(1)), T.is_neg(T.ones(1))])
    same_error(lambda T: T.is_nonzero(T.ones(2)))
    same_error(lambda T: T.is_nonzero(T.ones(0)))


def test_typename():
    same(
        lambda T: [T.typename(T.ones(1)), T.typename(3), T.typename(T.nn.Linear(1, 1)), T.typename(T.Tensor), T.typename(T.ones(1).long())]
    )


def test_functions_of_elements():
    same(lambda T: T.arange(6.0).reshape(2, 3).apply_(lambda v: v * v + 1))
    same(lambda T: T.tensor([1, -2]).apply_(abs))
    same(lambda T: T.arange(6.0).reshape(2, 3).map_(T.tensor([1.0, 2.0, 3.0]), lambda a, b: a * b))
    same_error(lambda T: T.ones(1, requires_grad=True).apply_(abs))
    with pytest.raises(TypeError, match="map_"):
        ours.ones(1).map_(ours.tensor([1]), max)
    same(lambda T: T.arange(4.0).reshape(2, 2).map2_(T.tensor([1.0, 2.0]), T.tensor([[3.0], [4.0]]), lambda a, b, c: a + b * c))
    same_error(lambda T: T.ones(2, 2).map2_(T.ones(3), T.ones(2), lambda a, b, c: a))
    same_error(lambda T: T.ones(2).map2_(T.ones(2).int(), T.ones(2), lambda a, b, c: a))
    same_error(lambda T: T.ones(2).map2_(T.ones(2, requires_grad=True), T.ones(2), lambda a, b, c: a))
    same_error(lambda T: T.ones(2).apply_(lambda a: "1"))
    same_error(lambda T: T.ones(2).int().apply_(lambda a: "1"))


def test_sizes_are_joined_with_tuples():
    class Joined:
        def __add__(self, other):
            return "left"

        def __radd__(self, other):
            return "right"

    same(lambda T: [T.Size([1]) + (2,), (2,) + T.Size([1]), T.Size([1]) + Joined(), Joined() + T.Size([1])])
    for other in ([2], 2, range(2)):
        same_error(lambda T, other=other: T.Size([1]) + other)
    same(lambda T: [2] + T.Size([1]))
    same(lambda T: T.Size([1]) + T.ones(2))


@pytest.mark.filterwarnings("ignore:_check_is_size")
def test_conditions():
    kinds = ("_check", "_check_index", "_check_value", "_check_type", "_check_not_implemented", "_check_is_size", "_check_tensor_all")
    for name in kinds:
        good, bad = {"_check_is_size": (3, -3), "_check_tensor_all": ([True], [True, False])}.get(name, (True, False))
        made = (lambda T, v: T.tensor(v)) if name == "_check_tensor_all" else (lambda T, v: v)
        same(lambda T, name=name, made=made, good=good: getattr(T, name)(made(T, good), lambda: "told"))
        same(lambda T, name=name, made=made, bad=bad: getattr(T, name)(made(T, bad)))
        same_error(lambda T, name=name, made=made, bad=bad: getattr(T, name)(made(T, bad), lambda: "told"))
    same_error(lambda T: T._check(1))
    same_error(lambda T: T._check(False, "told"))
    same(lambda T: T._check(T.tensor(True)))
    same_error(lambda T: T._check_tensor_all(T.ones(1)))
    same_error(lambda T: T._check_with(IndexError, False, lambda: "told"))
    same(lambda T: T._assert_async(T.ones(1)))
    for values in ([0.0], [], [1.0, 1.0]):
        same_error(lambda T, values=values: T._assert_async(T.tensor(values)))
    same_error(lambda T: T._assert_async(T.zeros(1), "told"))


def test_parts_of_real_numbers():
    same(lambda T: [T.real(T.ones(2)), T.ones(2).real, T.conj(T.ones(2)), T.ones(2).conj(), T.resolve_conj(T.ones(1))])
    same(lambda T: T.angle(T.tensor([1.0, -2.0, 0.0, -0.0, float("nan")])))
    same(lambda T: T.tensor([1, -2]).angle())
    same_error(lambda T: T.imag(T.ones(2)))


# ---------------------------------------------------------------- settings
def test_threads():
    before = ours.get_num_threads()
    try:
        ours.set_num_threads(3)
        assert ours.get_num_threads() == ours.config.threads == 3
    finally:
        ours.set_num_threads(before)
    same_error(lambda T: T.set_num_threads(0))
    same_error(lambda T: T.set_num_threads("a"))
    ours.set_num_interop_threads(2)
    assert ours.get_num_interop_threads() == 2


def test_precision():
    assert ours.get_float32_matmul_precision() == "highest"
    ours.set_float32_matmul_precision("high")
    assert ours.get_float32_matmul_precision() == "high"
    with pytest.warns(UserWarning, match="no effect"):
        ours.set_float32_matmul_precision("low")
    ours.set_float32_matmul_precision("highest")


def test_determinism():
    def run(T):
        found = [T.are_deterministic_algorithms_enabled(), T.get_deterministic_debug_mode()]
        T.use_deterministic_algorithms(True, warn_only=True)
        found += [T.is_deterministic_algorithms_warn_only_enabled(), T.get_deterministic_debug_mode()]
        T.set_deterministic_debug_mode("error")
        found += [T.are_deterministic_algorithms_enabled(), T.get_deterministic_debug_mode()]
        T.use_deterministic_algorithms(False)
        return [*found, T.get_deterministic_debug_mode()]

    same(run)
    same_error(lambda T: T.set_deterministic_debug_mode("never"))


def test_default_device():
    assert str(ours.get_default_device()) == "cpu"
    ours.set_default_device("cpu")
    ours.set_default_device(None)
    with pytest.raises(RuntimeError, match="CUDA"):
        ours.set_default_device("cuda")
    assert str(ours.get_default_device()) == "cpu"


def test_other_settings():
    ours.set_warn_always(True)
    assert ours.is_warn_always_enabled()
    ours.set_warn_always(False)
    assert ours.set_flush_denormal(True) is False


# ---------------------------------------------------------------- names
def test_formats():
    for name in ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d", "strided", "sparse_coo"):
        assert repr(namespace.NAMES[name]) == repr(getattr(torch, name))
        assert pickle.loads(pickle.dumps(namespace.NAMES[name])) is namespace.NAMES[name]
    assert ours.ones(1).layout is formats.strided and isinstance(formats.channels_last, formats.memory_format)
    x = ours.ones(1, 2, 3, 3)
    assert x.to(memory_format=formats.channels_last).tolist() == x.contiguous(memory_format=formats.contiguous_format).tolist()


def test_settings_that_are_refused():
    for value in (2**65, 2**31):
        same(lambda T, value=value: T.set_num_threads(value))
        same(lambda T, value=value: T.set_num_interop_threads(value))
    for value in (1.5, None):
        same_error(lambda T, value=value: T.set_deterministic_debug_mode(value))


def test_whether_to_warn_is_remembered():
    def run(T):
        found = []
        for mode in (True, False):
            for warn in (True, False):
                T.use_deterministic_algorithms(mode, warn_only=warn)
                found += [T.is_deterministic_algorithms_warn_only_enabled(), T.get_deterministic_debug_mode()]
        return found

    same(run)


def test_compiled_functions_are_themselves():
    def f(x):
        return x + 1

    assert ours.compile(f) is f and ours.compile(f, mode="max-autotune", fullgraph=True) is f

    @ours.compile(dynamic=True, backend="inductor")
    def g(x):
        return x * 2

    assert g(ours.ones(1)).item() == 2.0
    with pytest.raises(TypeError, match="unexpected keyword argument 'speed'"):
        ours.compile(f, speed=9)


def test_elements_that_a_python_function_replaces_are_no_version():
    def run(T):
        x, y = T.ones(3), T.arange(6.0).view(2, 3)[1]
        seen = x * 1
        x.apply_(lambda v: v + 1)
        y.map_(x, lambda a, b: a * b)
        return x, x._version, y, y._version, y._base, seen

    same(run)
