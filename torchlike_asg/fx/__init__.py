"""``torch.fx`` as far as packages need it to be imported: graphs are recorded here by running the script, not by tracing a module.

The classes exist for `isinstance`, which is always false, and for annotations; tracing raises and says what to use instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import Absent, Unsupported, refuses
from ..places import submodule

__all__ = ["Graph", "GraphModule", "Interpreter", "Node", "Proxy", "Tracer", "Transformer", "has_side_effect", "map_arg", "replace_pattern",
           "symbolic_trace", "wrap"]  # fmt: skip

T = TypeVar("T")
Argument = Target = Any
_INSTEAD = "modules are not traced symbolically; torchlike_asg.asg.explain(model, input) shows the recorded graph"


class Graph(Absent, within="torch.fx", instead=_INSTEAD):
    """PyTorch's list of traced operations."""


class GraphModule(Absent, within="torch.fx", instead=_INSTEAD):
    """PyTorch's module made from a graph."""


class Interpreter(Absent, within="torch.fx", instead=_INSTEAD):
    """PyTorch's execution of a graph, node by node."""


class Node(Absent, within="torch.fx", instead=_INSTEAD):
    """PyTorch's operation in a graph."""


class Proxy(Absent, within="torch.fx", instead=_INSTEAD):
    """PyTorch's stand-in for a value while a module is traced."""


class Tracer(Absent, within="torch.fx", instead=_INSTEAD):
    """PyTorch's symbolic tracer."""


class Transformer(Absent, within="torch.fx", instead=_INSTEAD):
    """PyTorch's rewriting of a graph."""


@refuses
def symbolic_trace(root: Any, concrete_args: Any = None) -> Any:
    """Raises: see the error."""
    raise Unsupported(f"torch.fx.symbolic_trace: {_INSTEAD}")


def wrap(fn_or_name: T) -> T:
    """The function itself: with no symbolic tracing there is nothing to keep it out of."""
    return fn_or_name


def has_side_effect(fn: T) -> T:
    """The function itself: no graph of its calls is thinned out."""
    return fn


def map_arg(a: Any, fn: Callable[[Node], Any]) -> Any:
    """`a` as it is: the nodes in it would be replaced by what `fn` makes of them, and there are none."""
    return a


@refuses
def replace_pattern(gm: GraphModule, pattern: Any, replacement: Any) -> Any:
    """Raises: see the error."""
    raise Unsupported(f"torch.fx.replace_pattern: {_INSTEAD}")


def __getattr__(name: str) -> Any:
    return submodule(__name__, name)
