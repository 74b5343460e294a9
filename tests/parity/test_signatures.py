"""The parameters of every function, class and method that PyTorch writes in Python: names, order and defaults."""

import importlib
import inspect
import re
import types

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

SPACES = """
    nn nn.functional nn.init nn.utils nn.utils.rnn nn.utils.parametrize nn.utils.parametrizations nn.utils.prune nn.parameter linalg
    special fft signal.windows utils.data utils.data.distributed utils.checkpoint utils._pytree optim optim.lr_scheduler optim.swa_utils
    distributions distributions.constraints distributions.transforms autograd autograd.functional autograd.forward_ad autograd.graph func
    accelerator amp backends.cudnn hub masked multiprocessing profiler testing
""".split()
#: what differs on purpose
DIFFERENT = {
    "autograd.gradgradcheck": "passes its options on",
    "distributions.constraints.dependent_property": "defaults spelt out",
    "distributions.constraints.multinomial.check": "one class for several constraints",
    "hub.help": "raises",
    "hub.list": "raises",
    "hub.load": "raises",
    "hub.load_state_dict_from_url": "loads weights only",
    "multiprocessing.ProcessContext": "made by spawn",
    "multiprocessing.SpawnContext": "made by spawn",
    "nn.MultiheadAttention": "positional encodings as well",
    "nn.MultiheadAttention.forward": "positional encodings as well",
    "nn.Sequential.extend": "one method for all containers",
    **dict.fromkeys(("nn.Transformer", "nn.TransformerDecoderLayer", "nn.TransformerEncoderLayer"), "the activation's name for itself"),
    "utils.data.random_split": "None is the default generator",
}


def reached(module, path):
    for part in filter(None, path.split(".")):
        module = getattr(module, part, None) or importlib.import_module(f"{module.__name__}.{part}")
    return module


def parameters(function):
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return None
    found = []
    for p in signature.parameters.values():
        default = re.sub(r" at 0x\w+", "", repr(p.default).replace("torchlike_asg.", "torch."))
        found.append((p.name, {"torch.Size([])": "()", "torch.strided": "None"}.get(default, default)))
    return [f for f in found if f[0] != "self"]


def pairs(space):
    """(name, PyTorch's, ours) of the functions and classes of a namespace, and of the methods of its classes."""
    theirs, mine = reached(torch, space), reached(ours, space)
    home = f"torch.{space.partition('.')[0]}"
    for name in dir(theirs):
        f, g = getattr(theirs, name), getattr(mine, name, None)
        if name[0] == "_" or not callable(f) or not callable(g) or isinstance(f, types.BuiltinFunctionType):
            continue
        if not (getattr(f, "__module__", None) or "").startswith(home):
            continue
        if not inspect.isclass(f):
            yield f"{space}.{name}", f, g
            continue
        if f.__init__ is not object.__init__:
            yield f"{space}.{name}", f, g
        for method, value in vars(f).items():
            other = inspect.getattr_static(g, method, None)
            if method[0] != "_" and inspect.isfunction(value) and inspect.isfunction(other):
                yield f"{space}.{name}.{method}", value, other


@pytest.mark.parametrize("space", SPACES)
def test_signatures(space):
    wrong, count = {}, 0
    for name, f, g in pairs(space):
        a, b = parameters(f), parameters(g)
        if a is None or b is None or {p for p, _ in a} <= {"args", "kwargs"}:
            continue
        count += 1
        if (a != b) != (name in DIFFERENT):
            wrong[name] = a, b
    assert not wrong
    assert count or space in ("linalg", "special", "fft", "parameter", "backends.cudnn")
