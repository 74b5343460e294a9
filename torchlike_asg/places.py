"""PyTorch's modules that have no file of their own here, so that an import of one does what it does under PyTorch.

Scripts and packages import names from the files in which PyTorch happens to keep them. Three tables say what such an import gives:

- `MOVED`: the names are in another module of this package;
- `ANSWERS`: questions that have an answer although what is asked about is not here;
- `PLACEHOLDERS`: names of what this package does not do (quantisation, many processes, exporting). They can be imported, named in
  annotations and asked about with `isinstance`, which is false; calling one raises Unsupported and says what to use instead.
  ``placeholders.txt`` lists them, as found in PyTorch by ``docs/list_names.py --from-torch``.

A name that PyTorch's module does not have is no name of these either. A module of these tables has no file: a file would hide the entry.
"""

from __future__ import annotations

import datetime
import enum
import importlib
import importlib.util
import sys
import types
from collections.abc import Sequence
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, TypeVar

from .errors import Absent, Unsupported

__all__ = ["ANSWERS", "MOVED", "PLACEHOLDERS", "SHADOWED", "Place", "install", "is_place", "listed", "submodule"]

T = TypeVar("T")
_PACKAGE = __name__.rpartition(".")[0]


def _homes(table: dict[str, str]) -> dict[str, str]:
    """``{"home": "file file"}`` as ``{file: home}``; a file's name starts from the parent's."""
    return {
        f"{parent}.{file}": home for key, files in table.items() for parent, _, home in (key.partition(" > "),) for file in files.split()
    }


#: module -> the module that has its names
MOVED = _homes(
    {
        "distributions > distributions": "cauchy chi2 dirichlet exp_family fishersnedecor gumbel "
        "half_cauchy half_normal inverse_gamma kumaraswamy lkj_cholesky log_normal logistic_normal "
        "mixture_same_family negative_binomial pareto studentT transformed_distribution von_mises "
        "weibull",
        "distributions > distributions.low_rank": "lowrank_multivariate_normal",
        "distributions > distributions.relaxed": "relaxed_bernoulli relaxed_categorical",
        "autograd > autograd.anomaly": "anomaly_mode",
        "autograd > autograd.check": "gradcheck",
        "nn.modules > nn.modules": "channelshuffle",
        "nn.parallel > nn.parallel": "data_parallel parallel_apply replicate",
        "cuda.amp > amp.grad_scaler": "grad_scaler",
        "cuda.amp > cuda.amp": "autocast_mode",
        "cuda > cuda": "graphs memory streams",
        "fx > fx": "_symbolic_trace graph graph_module interpreter node proxy",
        "jit > jit": "_script _trace",
        "masked > masked": "maskedtensor",
        "multiprocessing > multiprocessing": "spawn",
        "utils.tensorboard > utils.tensorboard": "writer",
        "distributed > distributed": "distributed_c10d",
        "distributed > distributed.tensor": "_tensor",
        "distributed._tensor > distributed.tensor": "placement_types",
        "distributed.tensor > distributed.tensor": "placement_types",
        "distributed.nn > distributed.nn": "functional",
        "_functorch > func": "apis eager_transforms vmap",
        "_higher_order_ops > scans": "associative_scan scan cond while_loop",
    }
) | {
    "_functorch": "func",
    "_higher_order_ops": "scans",
    "_lobpcg": "",
    "_lowrank": "",
    "_tensor": "facade.core",
    "_VF": "",
    "_vmap_internals": "func",
}

#: modules whose parent has a function of their name: these are there from the start, as importing one would put it in the function's place
SHADOWED = (
    *(f"_higher_order_ops.{name}" for name in ("associative_scan", "cond", "scan", "while_loop")),
    "autograd.gradcheck",
    "multiprocessing.spawn",
    "nn.parallel.data_parallel",
    "nn.parallel.parallel_apply",
    "nn.parallel.replicate",
)


def _record(fn: T, error_handler: Any = None) -> T:
    """The function itself: no launcher waits for what goes wrong in it."""
    return fn


def _no(*args: object, **kwargs: object) -> bool:
    """False."""
    return False


#: module -> its names that have an answer
ANSWERS: dict[str, dict[str, Any]] = {
    "cuda.amp.common": {"amp_definitely_not_available": lambda: True},
    "distributed.constants": dict.fromkeys(("default_pg_timeout", "default_pg_nccl_timeout"), datetime.timedelta(minutes=30)),
    "distributed.elastic.multiprocessing.errors": {"record": _record},
    "utils._triton": dict.fromkeys(("has_triton", "has_triton_package", "has_triton_tma"), _no),
    "utils._python_dispatch": dict.fromkeys(
        ("is_traceable_wrapper_subclass", "is_in_torch_dispatch_mode", "is_in_any_mode_without_ignore_compile_internals"), _no
    ),
    "utils.cpp_extension": {
        **dict.fromkeys(("CUDA_HOME", "CUDNN_HOME", "ROCM_HOME", "ROCM_VERSION")),
        "IS_HIP_EXTENSION": False,
        "is_ninja_available": _no,
    },
    "fx._compatibility": {"compatibility": lambda is_backward_compatible=False: lambda fn: fn},
    "fx.experimental.symbolic_shapes": {
        "guard_size_oblivious": bool,
        "guard_or_false": bool,
        "guard_or_true": bool,
        "guard_bool": bool,
        "guard_int": int,
        "guard_scalar": lambda a: a,
        "is_symbolic": _no,
        "statically_known_true": bool,
        "has_free_symbols": _no,
        "free_symbols": lambda val: set(),
    },
}

_FLOAT = "floating point: there is no quantisation"
_ONE = "the module itself, in one process, in a loop guarded by torch.distributed.is_available()"
_SAVE = "torch.save and torch.load of the state_dict"
_EXPORT = "torchlike_asg.asg.export for the graph, state_dict for the weights"
#: module, and every one below it -> what to use instead of its names
PLACEHOLDERS = {
    **dict.fromkeys(("ao", "quantization", "nn.intrinsic", "nn.qat", "nn.quantizable", "nn.quantized"), _FLOAT),
    **dict.fromkeys(
        (
            "distributed._composable",
            "distributed._functional_collectives",
            "distributed._tensor.experimental",
            "distributed._shard",
            "distributed.algorithms",
            "distributed.elastic",
            "distributed.fsdp",
            "distributed.pipelining",
            "distributed.tensor.parallel",
            "distributed.utils",
        ),
        _ONE,
    ),
    "ao.pruning": "torch.nn.utils.prune",
    "distributed.algorithms._checkpoint": "torch.utils.checkpoint",
    "distributed.checkpoint": _SAVE,
    "export": _EXPORT,
    **dict.fromkeys(
        ("fx.experimental.optimization", "fx.experimental.symbolic_shapes", "fx.operator_schemas", "fx.passes"),
        "torchlike_asg.asg.explain, which shows the recorded graph",
    ),
    "multiprocessing.reductions": "NumPy arrays in multiprocessing.shared_memory",
    "nested": "padded tensors, or torch.nn.utils.rnn.pack_sequence",
    **dict.fromkeys(("nn.parallel._functions", "nn.parallel.comm"), "the tensors themselves: one device computes"),
    **dict.fromkeys(("onnx.symbolic_helper", "onnx.operators", "onnx.utils"), "PyTorch, from the saved state_dict"),
    "utils._python_dispatch": "torch.func and tensor hooks, which see what is computed",
    "utils.cpp_extension": "torch.autograd.Function: Python functions of tensors are compiled",
    "utils.data.datapipes": "a Dataset or an IterableDataset",
    "utils.mobile_optimizer": "state_dict for the weights",
}


@cache
def listed() -> dict[str, str]:
    """Module -> its names, of ``placeholders.txt``: ``Class``, ``Enumeration(MEMBER,MEMBER)``, ``function()``, ``value``."""
    text = (Path(__file__).parent / "placeholders.txt").read_text(encoding="utf-8")
    rows = (line.partition(": ") for line in text.splitlines() if line and not line.startswith("#"))
    return {module: names for module, _, names in rows}


def is_place(module: str) -> bool:
    """Whether a module (``nn.parallel.replicate``) is one of these, or a package that one is in."""
    return any(name == module or name.startswith(f"{module}.") for name in _every())


def submodule(package: str, name: str) -> Any:
    """The module of that name in a package of this one, as an attribute that PyTorch's package has without an import. AttributeError if
    there is none."""
    if name.startswith("_") or importlib.util.find_spec(f"{package}.{name}") is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return importlib.import_module(f"{package}.{name}")


@cache
def _every() -> frozenset[str]:
    return frozenset({*MOVED, *ANSWERS, *listed()})


def _advice(module: str) -> str:
    while module not in PLACEHOLDERS:
        module = module.rpartition(".")[0]
    return PLACEHOLDERS[module]


class _Value:
    """A constant or object of what is not here: it can be passed on and compared, and anything asked of it raises."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Unsupported(self._message)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        raise Unsupported(self._message)

    __iter__ = __len__ = __getitem__ = __call__
    refuses = True


def _refusing(name: str, message: str) -> Any:
    def refuse(*args: object, **kwargs: object) -> Any:
        raise Unsupported(message)

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"Raises Unsupported: {message}."
    refuse.refuses = True  # type: ignore[attr-defined]
    return refuse


@cache
def _made(module: str) -> dict[str, Any]:
    """The placeholders of a module, by name."""
    found: dict[str, Any] = {}
    for entry in listed().get(module, "").split():
        name, bracket, members = entry.rstrip(")").partition("(")
        place, instead = f"torch.{module}", f"not supported: use {_advice(module)}"
        if bracket and members:
            found[name] = enum.Enum(name, members.split(","))  # type: ignore[misc]
        elif bracket:
            found[name] = _refusing(name, f"{place}.{name}: {instead}")
        elif name[0] == "=":
            found[name[1:]] = _Value(f"{place}.{name[1:]}: {instead}")
        else:
            members_ = {"__doc__": f"A class of PyTorch's that has no instances here: {instead}.", "__module__": f"{_PACKAGE}.{module}"}
            found[name] = types.new_class(name, (Absent,), {"within": place, "instead": instead}, lambda ns, m=members_: ns.update(m))
            found[name].refuses = True
    return found


class Place(types.ModuleType):
    """One of these modules: a name is looked up when it is asked for."""

    def __init__(self, module: str) -> None:
        super().__init__(f"{_PACKAGE}.{module}", f"``torch.{module}``: see places.py.")
        self.__path__: list[str] = []
        self.refuses = module not in MOVED and not any(f"{name}.".startswith(f"{module}.") for name in ANSWERS)  # see port/names.py

    def __getattr__(self, name: str) -> Any:
        module = self.__name__.removeprefix(f"{_PACKAGE}.")
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if name in (answers := ANSWERS.get(module, {})):
            return answers[name]
        if name in (made := _made(module)):
            return made[name]
        if is_place(f"{module}.{name}") and f"{module}.{name}" not in SHADOWED:
            return importlib.import_module(f"{self.__name__}.{name}")
        if module in MOVED:
            return getattr(importlib.import_module(f"{_PACKAGE}.{MOVED[module]}".rstrip(".")), name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Place) and name in _made(self.__name__.removeprefix(f"{_PACKAGE}.")):
            return  # a module that is imported does not take the place of its parent's function of that name
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        module = self.__name__.removeprefix(f"{_PACKAGE}.")
        moved = dir(importlib.import_module(f"{_PACKAGE}.{MOVED[module]}".rstrip("."))) if module in MOVED else []
        below = {name[len(module) + 1 :].partition(".")[0] for name in _every() if name.startswith(f"{module}.")}
        return sorted({*ANSWERS.get(module, ()), *_made(module), *moved, *below})


class _Finder(MetaPathFinder, Loader):
    """Answers imports of our modules that have no file."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None) -> ModuleSpec | None:
        root, _, module = name.partition(".")
        if root != _PACKAGE or not module or not is_place(module):
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return Place(spec.name.partition(".")[2])

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run: names are looked up when they are asked for."""


def install() -> None:
    """Have imports find these modules; done once, when the package is imported."""
    sys.meta_path.append(_Finder())
    for module in SHADOWED:
        sys.modules[f"{_PACKAGE}.{module}"] = Place(module)
