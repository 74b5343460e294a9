"""The namespace torch.nn.functional: every public function of PyTorch's is there, with its signature, or refuses with advice."""

import importlib
import inspect
import types

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg.nn.functional as F  # noqa: E402
from torchlike_asg.errors import Unsupported  # noqa: E402

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


def test_gradients_of_convolutions_are_reached_from_there():
    assert F.grad.conv2d_input is importlib.import_module("torchlike_asg.nn.grad").conv2d_input


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="has no attribute"):
        F.no_such_function  # noqa: B018
