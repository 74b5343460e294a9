"""Nested containers of tensors, under the name PyTorch keeps them."""

from typing import Any

from ..pytree import (  # noqa: F401
    SUPPORTED_NODES,
    GetAttrKey,
    LeafSpec,
    MappingKey,
    SequenceKey,
    TreeSpec,
    _dict_flatten,
    _dict_flatten_with_keys,
    _get_node_type,
    _namedtuple_flatten,
    _namedtuple_unflatten,
    key_get,
    keystr,
    register_pytree_node,
    tree_all,
    tree_all_only,
    tree_any,
    tree_any_only,
    tree_flatten,
    tree_flatten_with_path,
    tree_is_leaf,
    tree_iter,
    tree_leaves,
    tree_leaves_with_path,
    tree_map,
    tree_map_,
    tree_map_only,
    tree_map_with_path,
    tree_structure,
    tree_unflatten,
)

#: for annotations
PyTree = Any
#: the name it has in newer releases
PyTreeSpec = TreeSpec
Context = Any


def is_namedtuple_class(cls: Any) -> bool:
    """Whether a class was made by `collections.namedtuple` or `typing.NamedTuple`."""
    return isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")


def is_namedtuple_instance(obj: Any) -> bool:
    """Whether an object's class was made by `collections.namedtuple` or `typing.NamedTuple`."""
    return is_namedtuple_class(type(obj))


def is_namedtuple(obj: Any) -> bool:
    """Whether an object is a named tuple or the class of one."""
    return is_namedtuple_class(obj) or is_namedtuple_instance(obj)
