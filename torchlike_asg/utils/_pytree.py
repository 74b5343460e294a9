"""Nested containers of tensors, under the name PyTorch keeps them."""

from ..pytree import (  # noqa: F401
    LeafSpec,
    TreeSpec,
    register_pytree_node,
    tree_all,
    tree_any,
    tree_flatten,
    tree_leaves,
    tree_map,
    tree_map_only,
    tree_structure,
    tree_unflatten,
)
