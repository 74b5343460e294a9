"""Graphs to show in tests of the window."""

import numpy as np

from torchlike_asg.viewer.gui.canvas import STYLES, style_of
from torchlike_asg.viewer.gui.layout import Tree

CATEGORY = {
    "input": "input",
    "w": "weight",
    "matmul": "linalg",
    "gelu": "activation",
    "add": "arithmetic",
    "loss": "loss",
    "grad": "gradient",
}


class Network:
    """A residual network of equal blocks, as the canvas's model; with mirror scopes of the backward half on demand.

    Block `k` has the nodes 4k + 1 (weight), 4k + 2 (product), 4k + 3 (activation), 4k + 4 (sum); node 0 is the input, the loss comes last.
    """

    def __init__(self, blocks: int, backward: bool = False):
        self.scopes, self.labels, self.edges, weights = [], [], [], []

        def node(scope, label, *operands, weight=False):
            self.scopes.append(scope)
            self.labels.append(label)
            weights.append(weight)
            self.edges.extend((o, len(self.scopes) - 1) for o in operands)
            return len(self.scopes) - 1

        x = node("net", "input")
        for k in range(blocks):
            block = f"net.h.{k}"
            w = node(f"{block}.fc", "w", weight=True)
            y = node(f"{block}.fc", "matmul", x, w)
            y = node(f"{block}.act", "gelu", y)
            x = node(block, "add", x, y)
        loss = node("", "loss", x)
        if backward:
            g = loss
            for k in reversed(range(blocks)):
                g = node(f"∂.net.h.{k}", "grad", g, 4 * k + 2)
        self.src, self.dst = np.asarray(self.edges, np.int64).T
        kinds = {"net": "Net", **{f"net.h.{k}": "Block" for k in range(blocks)}}
        self.tree = Tree(self.scopes, self.labels, self.src, self.dst, kinds, np.asarray(weights))

    def node_text(self, node):
        return self.labels[node], "" if self.labels[node] == "w" else "8×16"

    def group_text(self, group, members):
        g = self.tree.groups[group]
        return f"{g.name} ×{len(members)}" if members else g.name, g.kind

    def style(self, box):
        return style_of(CATEGORY[self.labels[box.item]]) if box.kind == "node" else STYLES["module"]
