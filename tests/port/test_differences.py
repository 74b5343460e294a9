"""The differences that docs/porting.md lists: code for each, which says what it says under PyTorch and what it says here."""

import collections
import importlib
import inspect
import io
import warnings

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.errors import Unsupported  # noqa: E402
from torchlike_asg.port.differences import DIFFERENCES  # noqa: E402


class Harmless:
    """What a file can ask to be called while it is read."""

    def __reduce__(self):
        return len, ("four",)


def checkpointed(T):
    calls = []

    def f(x):
        calls.append(x)
        return x.sin()

    x = T.ones(2, requires_grad=True)
    importlib.import_module(f"{T.__name__}.utils.checkpoint").checkpoint(f, x, use_reentrant=False).sum().backward()
    return len(calls)


def loaded(T, value, **options):
    file = io.BytesIO()
    T.save(value, file)
    file.seek(0)
    return T.load(file, **options)


def defaults(T):
    return loaded(T, collections.defaultdict(list, {1: [2]}))


def derived(T):
    seen = []

    class Own(T.Tensor):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            seen.append(func)
            return T.ones(2)

    T.ones(2).as_subclass(Own) + 1
    return len(seen) > 0


def entered(T):
    seen = []

    class Mode(importlib.import_module(f"{T.__name__}.overrides").TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func.__name__)
            return func(*args, **(kwargs or {}))

    with Mode():
        T.ones(1).add(1)
    return seen[-1]


def profiled(T):
    with importlib.import_module(f"{T.__name__}.profiler").profile() as p:
        (T.ones(2) @ T.ones(2)).item()
    return "aten::dot" in [event.key for event in p.key_averages()]


def exports(T):
    return type(importlib.import_module(f"{T.__name__}.fx").symbolic_trace(T.nn.Linear(1, 1))).__name__


def written(T):
    x = T.ones(2, requires_grad=True)
    square = (x * x).sum()
    x.data.add_(1)
    square.backward()
    return x.grad.tolist()


def flushed(T):
    before = T.set_flush_denormal(True)
    T.set_flush_denormal(False)
    return before


def scattered(T):
    x = T.ones(3, requires_grad=True)
    T.as_strided_scatter(x, T.zeros(1), (1,), (1,), 0).sum().backward()
    return x.grad.tolist()


def default_of(T, path, function, parameter):
    return inspect.signature(getattr(importlib.import_module(f"{T.__name__}.{path}"), function)).parameters[parameter].default


def conjugated(T):
    return loaded(T, T.tensor([1 + 2j]).conj()).is_conj()


#: what it is about -> (code, its result under PyTorch, its result here); a class of errors is what it raises
CASES = {
    "`torch.utils.checkpoint`": (checkpointed, 2, 1),
    "`torch.compile`": (lambda T: T.compile(len, backend="eager") is len, False, True),
    "`torch.jit.script`, `torch.jit.trace`": (lambda T: type(T.jit.script(T.nn.ReLU())).__name__, "RecursiveScriptModule", "ReLU"),
    "`torch.fx`, `torch.export`, `torch.onnx`": (exports, "Linear", Unsupported),
    "`torch.distributed`": (lambda T: T.distributed.is_available(), True, False),
    "`share_memory_`": (lambda T: T.ones(2).share_memory_().tolist(), [1, 1], Unsupported),
    "`torch.load(weights_only=False)`": (lambda T: loaded(T, Harmless(), weights_only=False), 4, Exception),
    "`torch.load` of a `defaultdict`": (defaults, Exception, {1: [2]}),
    "Conjugated views in files": (conjugated, True, False),
    "Classes derived from Tensor": (derived, True, False),
    "Modes": (entered, "add", Unsupported),
    "Nested tensors": (lambda T: T.nested.nested_tensor([T.ones(1)]).is_nested, True, Unsupported),
    "`uint16`, `uint32`, `uint64`, `float8_*`": (lambda T: T.ones(1, dtype=T.uint16).tolist(), [1], Unsupported),
    "Quantised tensors": (lambda T: T.quantize_per_tensor(T.ones(1), 0.1, 0, T.quint8).is_quantized, True, Unsupported),
    "Class of sparse tensors": (lambda T: type(T.eye(2).to_sparse()) is T.Tensor, True, False),
    "Names of classes": (lambda T: str(T.Tensor), "<class 'torch.Tensor'>", "<class 'torchlike_asg.facade.core.Tensor'>"),
    "Indices out of range": (lambda T: T.nn.functional.embedding((T.ones(2) * 5).long(), T.ones(3, 2)).shape[0], IndexError, 2),
    "Writes through `.data` before `backward()`": (written, [4, 4], [2, 2]),
    "The meta device": (lambda T: T.empty(2, device="meta").add_(T.ones(2)).is_meta, True, RuntimeError),
    "`torch.profiler`": (profiled, True, False),
    "`torch.backends`": (lambda T: T.backends.openmp.is_available(), True, False),
    "`torch.set_flush_denormal`": (flushed, True, False),
    "`torch.empty`": (lambda T: T.empty(3).fill_(5).sum().item() if T is torch else T.empty(3).sum().item(), 15, 0),
    "`torch.utils.model_zoo.load_url`": (lambda T: default_of(T, "utils.model_zoo", "load_url", "weights_only"), False, True),
    "`torch.__version__`": (lambda T: T.__version__.startswith("2.13.0"), True, False),
    "`as_strided_scatter`'s gradient": (scattered, [1, 0, 0], [0, 1, 1]),
}


def test_every_difference_listed_has_its_code():
    assert CASES.keys() == DIFFERENCES.keys()


@pytest.mark.parametrize("subject", CASES)
def test_a_difference_is_as_listed(subject):
    code, *expected = CASES[subject]
    for T, value in zip((torch, ours), expected, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if isinstance(value, type):
                with pytest.raises(value):
                    code(T)
            else:
                assert code(T) == value
