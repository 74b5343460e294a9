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
    keystr,
    register_pytree_node,
    tree_all,
    tree_any,
    tree_flatten,
    tree_flatten_with_path,
    tree_leaves,
    tree_map,
    tree_map_only,
    tree_map_with_path,
    tree_structure,
    tree_unflatten,
)

#: for annotations
PyTree = Any
