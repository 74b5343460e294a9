"""Nested containers of tensors: taken apart into a list of leaves, and put together again.

Tuples, named tuples, lists, dicts (in order of insertion), ordered and default dicts are containers; everything else, None included, is a
leaf, until its type is registered.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Any, NamedTuple

__all__ = ["GetAttrKey", "MappingKey", "SequenceKey", "TreeSpec", "key_get", "keystr", "register_pytree_node", "tree_all",
           "tree_all_only", "tree_any", "tree_any_only", "tree_flatten", "tree_flatten_with_path", "tree_is_leaf", "tree_iter",
           "tree_leaves", "tree_leaves_with_path", "tree_map", "tree_map_", "tree_map_only", "tree_map_with_path", "tree_structure",
           "tree_unflatten"]  # fmt: skip


class NodeDef(NamedTuple):
    """How a type of containers is taken apart, to (children, context), and put together."""

    flatten_fn: Callable[[Any], tuple[list[Any], Any]]
    unflatten_fn: Callable[[list[Any], Any], Any]


#: of every type that is a container; `namedtuple` stands for all named tuples
SUPPORTED_NODES: dict[Any, NodeDef] = {}
#: type -> flatten to ([(key, child), ...], context), for types whose children are not simply numbered
_KEYED: dict[Any, Callable[[Any], tuple[list[tuple[Any, Any]], Any]]] = {}


@dataclass(frozen=True)
class SequenceKey:
    """A step of a path: an element of a list or tuple."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence: Any) -> Any:
        return sequence[self.idx]


@dataclass(frozen=True)
class MappingKey:
    """A step of a path: a value of a dict."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Any) -> Any:
        return mapping[self.key]


@dataclass(frozen=True)
class GetAttrKey:
    """A step of a path: an attribute."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: Any) -> Any:
        return getattr(obj, self.name)


def keystr(kp: tuple[Any, ...]) -> str:
    """A path as Python would write it: ``['a'][0].x``."""
    return "".join(map(str, kp))


def key_get(obj: Any, kp: tuple[Any, ...]) -> Any:
    """What stands at a path."""
    for key in kp:
        obj = key.get(obj)
    return obj


class TreeSpec:
    """How leaves are nested: a container type (`namedtuple` for named tuples), what else it takes to rebuild it, and the specs of its
    children; a leaf has no type.
    """

    __slots__ = ("children_specs", "context", "num_leaves", "type")

    def __init__(self, type: Any, context: Any, children_specs: list[TreeSpec]) -> None:
        self.type, self.context, self.children_specs = type, context, children_specs
        self.num_leaves = 1 if type is None else sum(c.num_leaves for c in children_specs)

    def is_leaf(self) -> bool:
        return self.type is None

    @property
    def num_nodes(self) -> int:
        """This node and all below it."""
        return 1 + sum(c.num_nodes for c in self.children_specs)

    @property
    def num_children(self) -> int:
        return len(self.children_specs)

    def children(self) -> list[TreeSpec]:
        return list(self.children_specs)

    def child(self, index: int) -> TreeSpec:
        return self.children_specs[index]

    def unflatten(self, leaves: Any) -> Any:
        """The structure filled with these leaves."""
        return tree_unflatten(leaves, self)

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """The parts of `tree` that stand where this structure has its leaves. Raises ValueError if `tree` lacks its containers."""
        if self.type is None:
            return [tree]
        if _kind(tree) is not self.type:
            raise ValueError(f"Type mismatch; expected {self.type!r}, but got {type(tree)!r}.")
        children, context = _flatten(tree)
        if len(children) != len(self.children_specs) or context != self.context:
            raise ValueError(f"Node context mismatch; expected {self!r}, but got {tree_structure(tree)!r}.")
        return [part for child, spec in zip(children, self.children_specs, strict=True) for part in spec.flatten_up_to(child)]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TreeSpec)
            and (self.type, self.context) == (other.type, other.context)
            and self.children_specs == other.children_specs
        )

    def __hash__(self) -> int:
        return hash((self.type, self.num_leaves))

    def __repr__(self) -> str:
        return "*" if self.type is None else f"TreeSpec({self.type.__name__}, {self.context}, {self.children_specs})"


class LeafSpec(TreeSpec):
    """The spec of a leaf."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None, None, [])


_LEAF = LeafSpec()


def register_pytree_node(
    cls: type,
    flatten_fn: Any,
    unflatten_fn: Any,
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Any = None,
    from_dumpable_context: Any = None,
    flatten_with_keys_fn: Any = None,
) -> None:
    """Have instances of `cls` taken apart: ``flatten_fn(x) -> (children, context)``, ``unflatten_fn(children, context) -> x``;
    ``flatten_with_keys_fn(x) -> ([(key, child), ...], context)`` for those who ask for paths.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    SUPPORTED_NODES[cls] = NodeDef(flatten_fn, unflatten_fn)
    if flatten_with_keys_fn is not None:
        _KEYED[cls] = flatten_with_keys_fn


def _kind(x: Any) -> Any:
    """The container type of an object, None for a leaf."""
    if type(x) in SUPPORTED_NODES:
        return type(x)
    return namedtuple if isinstance(x, tuple) and hasattr(x, "_fields") else None


def _get_node_type(tree: Any) -> Any:
    return _kind(tree) or type(tree)


def _flatten(x: Any) -> tuple[list[Any], Any]:
    return SUPPORTED_NODES[_kind(x)].flatten_fn(x)


def _namedtuple_flatten(d: Any) -> tuple[list[Any], Any]:
    return list(d), type(d)


def _namedtuple_unflatten(values: Any, context: Any) -> Any:
    return context(*values)


SUPPORTED_NODES[namedtuple] = NodeDef(_namedtuple_flatten, _namedtuple_unflatten)
_KEYED[namedtuple] = lambda x: ([(GetAttrKey(name), child) for name, child in zip(x._fields, x, strict=True)], type(x))
register_pytree_node(tuple, lambda x: (list(x), None), lambda c, _: tuple(c))
register_pytree_node(list, lambda x: (list(x), None), lambda c, _: list(c))


def _dict_flatten(x: Any) -> tuple[list[Any], Any]:
    return list(x.values()), list(x)


def _dict_flatten_with_keys(x: Any) -> tuple[list[tuple[Any, Any]], Any]:
    return [(MappingKey(k), v) for k, v in x.items()], list(x)


for _mapping in (dict, OrderedDict):
    register_pytree_node(
        _mapping,
        _dict_flatten,
        lambda c, k, kind=_mapping: kind(zip(k, c, strict=True)),
        flatten_with_keys_fn=_dict_flatten_with_keys,
    )
register_pytree_node(
    defaultdict,
    lambda x: (list(x.values()), (x.default_factory, list(x))),
    lambda c, k: defaultdict(k[0], zip(k[1], c, strict=True)),
    flatten_with_keys_fn=lambda x: ([(MappingKey(k), v) for k, v in x.items()], (x.default_factory, list(x))),
)
register_pytree_node(deque, lambda x: (list(x), x.maxlen), lambda c, n: deque(c, n))


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], TreeSpec]:
    """(leaves, structure). What `is_leaf` accepts is not taken apart."""
    kind = None if is_leaf is not None and is_leaf(tree) else _kind(tree)
    if kind is None:
        return [tree], _LEAF
    children, context = _flatten(tree)
    leaves: list[Any] = []
    specs = []
    for child in children:
        inner, spec = tree_flatten(child, is_leaf)
        leaves += inner
        specs.append(spec)
    return leaves, TreeSpec(kind, context, specs)


def tree_flatten_with_path(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[tuple[tuple[Any, ...], Any]], TreeSpec]:
    """([(path, leaf), ...], structure); a path is a tuple of `SequenceKey`, `MappingKey` and `GetAttrKey`."""
    return list(_with_paths(tree, (), is_leaf)), tree_structure(tree, is_leaf)


def _with_paths(tree: Any, path: tuple[Any, ...], is_leaf: Callable[[Any], bool] | None) -> Iterator[tuple[tuple[Any, ...], Any]]:
    kind = None if is_leaf is not None and is_leaf(tree) else _kind(tree)
    if kind is None:
        yield path, tree
        return
    if kind in _KEYED:
        keyed = _KEYED[kind](tree)[0]
    else:
        keyed = [(SequenceKey(i), child) for i, child in enumerate(_flatten(tree)[0])]
    for key, child in keyed:
        yield from _with_paths(child, (*path, key), is_leaf)


def tree_map_with_path(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """``func(path, leaf, ...)`` of every leaf, and of what stands in its place in the other trees, in the tree's structure."""
    found, spec = tree_flatten_with_path(tree, is_leaf)
    others = [tree_leaves(rest, is_leaf) for rest in rests]
    return tree_unflatten([func(path, leaf, *more) for (path, leaf), *more in zip(found, *others, strict=True)], spec)


def tree_unflatten(leaves: Any, treespec: TreeSpec) -> Any:
    """The structure filled with these leaves."""
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(leaves)} but the spec refers to a pytree that holds "
            f"{treespec.num_leaves} items ({treespec})."
        )
    if treespec.type is None:
        return leaves[0]
    children, start = [], 0
    for spec in treespec.children_specs:
        children.append(tree_unflatten(leaves[start : start + spec.num_leaves], spec))
        start += spec.num_leaves
    return SUPPORTED_NODES[treespec.type].unflatten_fn(children, treespec.context)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves, in order."""
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    """How the tree is built, without its leaves."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """`func` of each leaf, and of the leaves at the same places of further trees."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [tree_flatten(r, is_leaf)[0] for r in rests]
    return tree_unflatten([func(*row) for row in zip(leaves, *others, strict=True)], spec)


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """Call `func` for what it does to the leaves; the tree itself."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def _accepts(kind: Any) -> Callable[[Any], bool]:
    """Whether a leaf is of a type (or of several), or what a predicate says."""
    return (lambda x: isinstance(x, kind)) if isinstance(kind, (type, tuple, UnionType)) else kind


def tree_map_only(type_or_types_or_pred: Any, func: Callable[[Any], Any], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """`func` of the leaves of that type (or that the predicate accepts); the others as they are."""
    accepted = _accepts(type_or_types_or_pred)
    return tree_map(lambda x: func(x) if accepted(x) else x, tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether `pred` holds of every leaf."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether `pred` holds of a leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))


def tree_all_only(type_or_types: Any, pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether `pred` holds of every leaf of these types; others do not count."""
    return all(pred(x) for x in tree_leaves(tree, is_leaf) if isinstance(x, type_or_types))


def tree_any_only(type_or_types: Any, pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether `pred` holds of a leaf of these types."""
    return any(pred(x) for x in tree_leaves(tree, is_leaf) if isinstance(x, type_or_types))


def tree_iter(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Iterator[Any]:
    """The leaves, one by one."""
    return iter(tree_leaves(tree, is_leaf))


def tree_is_leaf(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether the tree is one leaf: nothing that is taken apart, or what `is_leaf` says is one."""
    return (is_leaf is not None and is_leaf(tree)) or _kind(tree) is None


def tree_leaves_with_path(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[tuple[tuple[Any, ...], Any]]:
    """(path, leaf) of every leaf, in order; a path is a tuple of keys."""
    return tree_flatten_with_path(tree, is_leaf)[0]


def broadcast_prefix(tree: Any, spec: TreeSpec) -> list[Any] | None:
    """The leaves of `tree`, each repeated for all leaves of `spec` below its place; None if the structures do not agree."""
    if _kind(tree) is None:
        return [tree] * spec.num_leaves
    children, context = _flatten(tree)
    if spec.type is not _kind(tree) or context != spec.context or len(children) != len(spec.children_specs):
        return None
    found: list[Any] = []
    for child, inner in zip(children, spec.children_specs, strict=True):
        part = broadcast_prefix(child, inner)
        if part is None:
            return None
        found += part
    return found
