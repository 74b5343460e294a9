"""A snapshot as the canvas's model: the tree of its scopes, titles and looks of nodes and groups."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..snapshot import KINDS, GraphSnapshot
from .canvas import FAILED, STYLES, Style, style_of
from .layout import Box, Tree, split
from .say import Say, shape_text


class GraphModel:
    """See `canvas.paint.Model`."""

    def __init__(self, graph: GraphSnapshot, say: Say) -> None:
        self.graph, self.say = graph, say
        self.ops, self.scopes = graph.column("op"), graph.column("scope")
        self.categories, self.names, self.dtypes = graph.column("category"), graph.column("name"), graph.column("dtype")
        self.shapes = [graph.shape(i) for i in range(len(graph))]
        labels = [f"{op}|{name}|{shape}|{d}" for op, name, shape, d in zip(self.ops, self.names, self.shapes, self.dtypes, strict=True)]
        weights = graph.constant if len(graph) else np.zeros(0, bool)
        shown, made = split(self.scopes, graph.src, graph.dst, np.asarray(weights, bool))
        kinds = dict(graph.modules)
        for path, old in made.items():
            while old in made:
                old = made[old]
            if old in kinds:
                kinds[path] = kinds[old]
        self.tree = Tree(shown, labels, graph.src, graph.dst, kinds, weights)

    def title(self, i: int) -> str:
        """What a node is called."""
        kind = KINDS[self.graph.kind[i]]
        if self.names[i]:
            return self.names[i]
        if kind != "op":
            return self.say(f"kind.{kind}")
        return self.say.op(self.ops[i], "title") or self.ops[i]

    def node_text(self, node: int) -> tuple[str, str]:
        if self.categories[node] == FAILED.key:  # it has no shape of its own: what it was given
            return self.title(node), f" {FAILED.glyph} ".join(shape_text(self.shapes[i]) or "()" for i in self.graph.inputs(node)[:2])
        return self.title(node), shape_text(self.shapes[node])

    def group_name(self, group: int) -> str:
        g = self.tree.groups[group]
        if g.path == "∂":
            return self.say("phase.backward")
        if g.path == "optimizer":
            return self.say("phase.update")
        return g.name

    def group_text(self, group: int, members: Collection[int]) -> tuple[str, str]:
        g = self.tree.groups[group]
        name = self.group_name(group)
        count = self.say.plural("operations", g.size)
        kind = g.kind if g.kind and g.kind != name else ""
        return (f"{name} … ×{len(members)}" if members else name), (f"{kind} · {count}" if kind else count)

    def style(self, box: Box) -> Style:
        return style_of(self.categories[box.item]) if box.kind == "node" else STYLES["module"]

    def nodes_in(self, group: int) -> list[int]:
        """All nodes of a group and the groups within."""
        found, stack = [], [group]
        while stack:
            g = self.tree.groups[stack.pop()]
            found += g.nodes
            stack += g.children
        return found
