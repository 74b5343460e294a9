"""The namespace torch.nn.functional: every public function of PyTorch's is there, with its signature, or refuses with advice."""

import importlib
import inspect
import types
import warnings

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg.nn.functional as F  # noqa: E402
from torchlike_asg.errors import Unsupported  # noqa: E402

from ..parity.scripts import same  # noqa: E402

INTERNAL = set(
    """BroadcastingList1 BroadcastingList2 BroadcastingList3 Callable DType Optional Tensor TYPE_CHECKING assert_int_or_pair
    boolean_dispatch handle_torch_function has_torch_function has_torch_function_unary has_torch_function_variadic reproducibility_notes
    sparse_support_notes tf32_notes""".split()
)
PUBLIC = [
    n for n, v in vars(torch.nn.functional).items() if not n.startswith("_") and n not in INTERNAL and not isinstance(v, types.ModuleType)
]


@pytest.mark.parametrize("name", PUBLIC)
def test_is_there_or_says_what_to_use(name):
    try:
        found = getattr(F, name)
    except Unsupported as error:
        assert "is not supported: " in str(error)
        assert not hasattr(F, name)
    else:
        assert found.__doc__ if callable(found) else found == getattr(torch.nn.functional, name)


@pytest.mark.parametrize("name", F.__all__)
def test_signature(name):
    """The same parameters in the same order with the same defaults, where PyTorch's can be inspected."""
    theirs, mine = getattr(torch.nn.functional, name), getattr(F, name)
    if not inspect.isfunction(theirs):
        return
    want, got = inspect.signature(theirs).parameters, inspect.signature(mine).parameters
    if any(p.kind is p.VAR_POSITIONAL for p in want.values()):  # PyTorch's dispatchers on a flag
        want = inspect.signature(getattr(torch.nn.functional, f"{name}_with_indices")).parameters
    if name in ("softsign",):
        want = {"input": next(iter(want.values()))}
    assert list(want) == list(got)
    for key, parameter in want.items():
        assert got[key].kind == parameter.kind, key
        assert got[key].default == parameter.default, key


OUT = {
    "avg_pool2d": lambda T: (T.ones(1, 1, 4, 4), 2),
    "avg_pool3d": lambda T: (T.ones(1, 1, 4, 4, 4), 2),
    "linear": lambda T: (T.ones(4), T.ones(2, 4)),
    "normalize": lambda T: (T.ones(1, 4),),
    **dict.fromkeys(("gelu", "hardshrink", "logsigmoid", "softplus", "softshrink"), lambda T: (T.linspace(-2, 2, 4),)),
}


@pytest.mark.parametrize("name", OUT)
def test_writes_into_what_is_given(name):
    for size in (0, 3):

        def run(T, size=size):
            out = T.empty(size)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it takes another shape
                found = getattr(T.nn.functional, name)(*OUT[name](T), out=out)
            assert found is out
            return out

        same(run)


def test_gradients_of_convolutions_are_reached_from_there():
    assert F.grad.conv2d_input is importlib.import_module("torchlike_asg.nn.grad").conv2d_input


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="has no attribute"):
        F.no_such_function  # noqa: B018
