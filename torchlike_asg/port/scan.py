"""The names of PyTorch's that a script uses, found in its syntax tree: imports under any alias, attribute chains, tensors' methods.

Whether a value is a tensor is followed as far as one scope shows it: results of torch functions and of tensors' methods, arithmetic with
tensors, annotated parameters, calls of attributes ``self.x`` that were set to modules of torch.nn. Of other values, methods count whose
names only tensors have.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .names import canonical, status, torch_names

__all__ = ["Use", "imported", "scan"]

ROOTS = ("torch", "torchvision", "torchaudio", "torchtext", "torchlike_asg")
#: functions in `torch` whose results are no tensors
_NO_TENSORS = frozenset(
    "compile save manual_seed seed initial_seed no_grad enable_grad inference_mode set_grad_enabled is_grad_enabled is_tensor device Size "
    "Generator numel set_default_dtype get_default_dtype set_printoptions set_num_threads get_num_threads load dtype finfo iinfo split "
    "chunk unbind meshgrid broadcast_tensors topk sort max min allclose equal".split()
)
#: attributes and methods of a tensor that are no tensors
_NO_TENSOR_RESULTS = frozenset(
    "item tolist numpy size shape dim ndim numel nelement dtype device stride storage storage_offset backward data_ptr is_contiguous "
    "requires_grad is_leaf grad_fn register_hook element_size get_device type layout untyped_storage is_cuda names split chunk unbind "
    "topk sort max min allclose equal".split()
)


@dataclass(frozen=True)
class Use:
    """A name of PyTorch's in PyTorch's spelling, and the line that uses it."""

    name: str
    line: int


def scan(source: str | bytes, filename: str = "<script>") -> list[Use]:
    """Every use, in the order of lines. Raises SyntaxError for what is no Python."""
    tree = ast.parse(source, filename)
    finder = _Finder()
    finder.collect(tree)
    finder.visit(tree)
    return sorted(set(finder.uses), key=lambda use: (use.line, use.name))


@cache
def only_tensors() -> frozenset[str]:
    """Names of a tensor's attributes that no common object of Python, NumPy or torch.nn shares."""
    import numpy as np

    from ..nn import Module
    from ..optim import Optimizer

    others: set[str] = {
        "numpy",
        "cuda",
        "device",
        "data",
        "grad",
        "dtype",
        "name",
        "names",
        "values",
        "indices",
        "index",
        "volatile",
        "log",
    }
    for kind in (str, bytes, list, dict, set, tuple, int, float, np.ndarray, np.random.Generator, Module, Optimizer, type(np)):
        others.update(dir(kind))
    others.update(vars(np))  # np.tanh, under whatever name NumPy was imported
    return frozenset(torch_names()["torch.Tensor"] - others)


@dataclass
class _Finder(ast.NodeVisitor):
    uses: list[Use] = field(default_factory=list)
    #: local name -> dotted name
    aliases: dict[str, str] = field(default_factory=dict)
    #: names of other modules, whose attributes are not tensors'
    modules: set[str] = field(default_factory=set)
    #: local names that hold tensors;  attributes of self that hold modules of torch.nn
    tensors: set[str] = field(default_factory=set)
    layers: set[str] = field(default_factory=set)

    def use(self, name: str, line: int) -> None:
        self.uses.append(Use(canonical(name), line))

    # ===== Imports

    def collect(self, tree: ast.AST) -> None:
        """Aliases first: a function may use a module that is imported further down."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    root = alias.name.partition(".")[0]
                    if root in ROOTS:
                        self.aliases[alias.asname or root] = alias.name if alias.asname else root
                    else:
                        self.modules.add(alias.asname or root)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                if node.module.partition(".")[0] not in ROOTS:
                    self.modules.update(alias.asname or alias.name for alias in node.names)
                    continue
                for alias in node.names:
                    if alias.name == "*":
                        names = torch_names().get(canonical(node.module), ())
                        self.aliases.update({name: f"{node.module}.{name}" for name in names})
                    else:
                        self.aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        if "torch" not in self.aliases and _comes_with_a_star(tree):
            self.aliases["torch"] = "torch"
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name = imported(node.value) or self.dotted(node.value)  # T = torch, nn = torch.nn
                if name is not None and _is_module(name):
                    self.aliases.setdefault(node.targets[0].id, name)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                name = self.dotted(node.value.func)
                if name is not None and canonical(name).startswith("torch.nn."):
                    self.layers.update(t.attr for t in node.targets if isinstance(t, ast.Attribute) and _is_self(t.value))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.partition(".")[0] in ROOTS:
                self.use(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if not node.level and node.module and node.module.partition(".")[0] in ROOTS:
            for alias in node.names:
                self.use(node.module if alias.name == "*" else f"{node.module}.{alias.name}", alias.lineno)

    # ===== Scopes

    def visit_FunctionDef(self, node: Any) -> None:
        for outer in (*node.decorator_list, *(d for d in (*node.args.defaults, *node.args.kw_defaults) if d), *_annotations(node)):
            self.visit(outer)
        outer_names = self.tensors, self.aliases
        self.tensors, self.aliases = set(self.tensors), dict(self.aliases)
        for argument in _parameters(node.args):
            self.tensors.discard(argument.arg)
            if argument.annotation is not None and self._is_tensor_type(argument.annotation):
                self.tensors.add(argument.arg)
            self.aliases.pop(argument.arg, None)
        for statement in node.body:
            self.visit(statement)
        self.tensors, self.aliases = outer_names

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        outer, self.aliases = self.aliases, {k: v for k, v in self.aliases.items() if k not in {a.arg for a in _parameters(node.args)}}
        self.generic_visit(node)
        self.aliases = outer

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        """``except ImportError: autocast = None`` is about where the import failed."""
        outer = dict(self.aliases)
        self.generic_visit(node)
        self.aliases = outer

    def visit_For(self, node: Any) -> None:
        self.visit(node.iter)
        self._bound(node.target)
        for part in (node.target, *node.body, *node.orelse):
            self.visit(part)

    visit_AsyncFor = visit_For

    def visit_With(self, node: Any) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars is not None:
                self._bound(item.optional_vars)
                self.visit(item.optional_vars)
        for statement in node.body:
            self.visit(statement)

    visit_AsyncWith = visit_With

    def _bound(self, target: ast.expr) -> None:
        """Names that mean something else from here on: ``for data, label in loader``, under ``from torch.utils import data``."""
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.aliases.pop(node.id, None)

    def _is_tensor_type(self, annotation: ast.expr) -> bool:
        name = self.dotted(annotation)
        if name is None and isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            name = self.aliases.get(annotation.value) or annotation.value
        return name is not None and canonical(name) == "torch.Tensor"

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        name = imported(node.value) or self.dotted(node.value)
        for target in node.targets:
            if name is None:
                self._bound(target)
            self.visit(target)
            if isinstance(target, ast.Name):
                (self.tensors.add if self.is_tensor(node.value) else self.tensors.discard)(target.id)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        if isinstance(node.target, ast.Name) and self._is_tensor_type(node.annotation):
            self.tensors.add(node.target.id)

    # ===== Expressions

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id in self.aliases and not _is_module(self.aliases[node.id]):
            self.use(self.aliases[node.id], node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self.dotted(node)
        if name is not None:
            self.use(name, _line(node))
            return
        self.visit(node.value)
        if self.is_tensor(node.value):
            if node.attr in torch_names()["torch.Tensor"] or status(f"torch.Tensor.{node.attr}").state == "supported":
                self.use(f"torch.Tensor.{node.attr}", _line(node))
        elif node.attr in only_tensors() and not (isinstance(node.value, ast.Name) and node.value.id in self.modules):
            if not (isinstance(node.ctx, ast.Store) or _is_self(node.value)):
                self.use(f"torch.Tensor.{node.attr}", _line(node))

    def visit_Call(self, node: ast.Call) -> None:
        """``getattr(torch, "relu")``, ``importlib.import_module("torch")``. (``hasattr`` asks, and copes with both answers.)"""
        name = imported(node)
        if name is not None:
            self.use(name, node.lineno)
        if isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) > 1:
            owner, attribute = self.dotted(node.args[0]), node.args[1]
            if owner is not None and isinstance(attribute, ast.Constant) and isinstance(attribute.value, str):
                self.use(f"{owner}.{attribute.value}", node.lineno)
        self.generic_visit(node)

    def dotted(self, node: ast.expr) -> str | None:
        """The dotted name of an attribute chain that begins at an import of torch's."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.aliases:
            return None
        return ".".join([self.aliases[node.id], *reversed(parts)])

    def is_tensor(self, node: ast.expr) -> bool:
        """Whether a value is known to be a tensor."""
        if isinstance(node, ast.Name):
            return node.id in self.tensors
        if isinstance(node, ast.BinOp):
            return self.is_tensor(node.left) or self.is_tensor(node.right)
        if isinstance(node, ast.UnaryOp):
            return not isinstance(node.op, ast.Not) and self.is_tensor(node.operand)
        if isinstance(node, ast.Compare):
            return self.is_tensor(node.left)
        if isinstance(node, ast.Subscript):
            return self.is_tensor(node.value)
        if isinstance(node, ast.Attribute):
            return self.is_tensor(node.value) and node.attr not in _NO_TENSOR_RESULTS
        return isinstance(node, ast.Call) and self._gives_tensor(node.func)

    def _gives_tensor(self, function: ast.expr) -> bool:
        name = self.dotted(function)
        if name is not None:
            space, _, last = canonical(name).rpartition(".")
            return (space in ("torch", "torch.nn.functional") and last not in _NO_TENSORS and not last[:1].isupper()) or last == "Tensor"
        if isinstance(function, ast.Attribute):
            if _is_self(function.value):
                return function.attr in self.layers
            return self.is_tensor(function.value) and function.attr not in _NO_TENSOR_RESULTS
        return False


def imported(node: ast.expr) -> str | None:
    """The module of torch's that ``importlib.import_module(...)`` or ``__import__(...)`` gives."""
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return None
    function, name = node.func, node.args[0].value
    called = function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    if called not in ("import_module", "__import__") or not isinstance(name, str) or name.partition(".")[0] not in ROOTS:
        return None
    return name if called == "import_module" else name.partition(".")[0]


def _comes_with_a_star(tree: ast.AST) -> bool:
    """Whether `torch` can only be a name that ``from utils import *`` brings."""
    star = False
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            star = star or any(alias.name == "*" for alias in node.names)
        if isinstance(node, ast.Name) and node.id == "torch" and isinstance(node.ctx, ast.Store):
            return False
    return star


def _parameters(arguments: ast.arguments) -> list[ast.arg]:
    extra = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra]


def _annotations(node: Any) -> Iterator[ast.expr]:
    yield from (a.annotation for a in _parameters(node.args) if a.annotation is not None)
    if node.returns is not None:
        yield node.returns


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _line(node: ast.Attribute) -> int:
    """The line of the attribute itself: a chain may go over several."""
    return node.end_lineno or node.lineno


@cache
def _is_module(name: str) -> bool:
    """Whether a name means a module, which is no use in itself."""
    import types

    from .names import _lookup

    found, _ = _lookup(canonical(name))
    return found is not None and isinstance(found[0], types.ModuleType)
