"""Layout of the graph, without Qt: layers, order, coordinates, and nesting by scope."""

from .calls import split
from .layered import Layered, Spacing, layout
from .nested import Box, Edge, Nested, Scene
from .tree import Group, Tree

__all__ = ["Box", "Edge", "Group", "Layered", "Nested", "Scene", "Spacing", "Tree", "layout", "split"]
