"""What the nodes of a whole graph are for: told from their operation, what they read, who reads them, and the roles of parameters.

The most particular role that holds is taken; what nothing particular is known of is told by where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..i18n.catalog import entries
from .roles import ATTENTION, NORMS, POSITION, NodeInfo, Role, of_parameter

#: nodes that are looked at to find where a branch began
_FAR = 96
_POSITIONS = ("position_learned", "position_fixed", "embedding_position")
_MASKING = ("where", "masked_fill", "add", "tril", "triu")


def roles(nodes: Sequence[NodeInfo]) -> list[Role | None]:
    """The role of each node; operands come before their users."""
    return _Graph(nodes).roles()


class _Graph:
    def __init__(self, nodes: Sequence[NodeInfo]) -> None:
        self.nodes = nodes
        self.users: list[list[int]] = [[] for _ in nodes]
        #: whether a parameter takes part in the value, or a module computes it
        self.learned: list[bool] = []
        self.modelled: list[bool] = []
        for i, node in enumerate(nodes):
            for o in node.inputs if node.phase == "forward" else ():
                self.users[o].append(i)
            self.learned.append(node.kind == "parameter" or any(self.learned[o] for o in node.inputs))
            self.modelled.append((node.kind == "op" and _inside(node)) or any(self.modelled[o] for o in node.inputs))
        self.found: list[Role | None] = []

    def roles(self) -> list[Role | None]:
        for i, node in enumerate(self.nodes):
            self.found.append(self._role(i, node))
        for i in reversed(range(len(self.nodes))):  # what those who read them tell
            role = self._by_users(i)
            if role is not None:
                self.found[i] = role
        return self.found

    def _role(self, i: int, node: NodeInfo) -> Role | None:
        if node.output and node.phase == "forward" and not node.shape:
            return Role("loss")
        if node.phase == "update" and not node.name:
            module, _, buffer = node.scope.rpartition("/")
            if buffer in ("running_mean", "running_var", "num_batches_tracked"):
                return Role("running_update", {"module": module.replace("/", ".")})
            return Role("optimizer_state" if node.kind == "buffer" else "input" if node.kind == "input" else "update")
        if node.kind in ("parameter", "buffer"):
            return of_parameter(node) or Role("parameter" if node.kind == "parameter" else "buffer", {"module": node.scope})
        if node.kind in ("input", "constant"):
            return Role(node.kind)
        if node.phase == "backward":
            return Role("gradient", {"module": node.scope}) if node.scope else Role("gradient_plain")
        operation = _Operation(self, i)
        return operation.particular() or operation.general()

    def _by_users(self, i: int) -> Role | None:
        """What is only known by who reads it: the answers that a loss compares with, masks of dropout, positions."""
        node, users = self.nodes[i], self.users[i]
        if node.phase != "forward" or node.kind not in ("op", "input") or self.learned[i] or node.output or not users:
            return None
        read_by = {role.key for u in users if (role := self.found[u]) is not None}
        if read_by == {"dropout"} and node.kind == "input":
            return Role("dropout_mask", self.found[users[0]].fields)  # type: ignore[union-attr]
        if node.category == "creation" and any(self._looks_up_positions(u) for u in users):
            return Role("positions")
        if all(self.nodes[u].output or self.nodes[u].category == "loss" for u in users) or read_by == {"answers"}:
            return Role("answers") if not _inside(node) else None
        return None

    def _looks_up_positions(self, u: int) -> bool:
        return any((role := self.found[o]) is not None and role.key in _POSITIONS for o in self.nodes[u].inputs)

    def back(self, i: int, through: Sequence[str] = ()) -> Iterator[int]:
        """A node's ancestors, nearest first; only through these operations, if any are named."""
        seen, queue = {i}, [i]
        for j in queue:
            if j != i:
                yield j
            if j == i or not through or self.nodes[j].op in through:
                new = [o for o in self.nodes[j].inputs if o not in seen]
                seen.update(new)
                queue += new
            if len(queue) > _FAR:
                return

    def ahead(self, i: int, through: Sequence[str]) -> Iterator[int]:
        """Who reads a node, directly or through these operations."""
        seen, queue = {i}, [i]
        for j in queue:
            if j != i:
                yield j
            if j == i or self.nodes[j].op in through:
                new = [u for u in self.users[j] if u not in seen]
                seen.update(new)
                queue += new
            if len(queue) > _FAR:
                return


class _Operation:
    """One operation of the forward pass."""

    def __init__(self, graph: _Graph, i: int) -> None:
        self.graph, self.i, self.node = graph, i, graph.nodes[i]
        self.operands = [graph.nodes[o] for o in self.node.inputs]
        self.weights = [o for o in self.operands if o.kind == "parameter"]
        self.owner = self.node.modules[-1] if self.node.modules else ""
        self.here = {"module": self.node.scope or self.owner}
        self.in_attention = any(ATTENTION.search(part) for part in (*self.node.modules, *self.node.scope.split(".")))

    def particular(self) -> Role | None:
        """What is known by the operation and what it is applied to."""
        node = self.node
        if self.in_attention and (found := self._of_attention()) is not None:
            return found
        if node.op in ("softmax", "log_softmax"):
            return Role("probabilities", self.here)
        if node.op in ("scaled_dot_product_attention", "sdpa_dropout"):
            return Role("attention", self.here)
        if node.op == "add" and len(self.operands) == 2 and (found := self._sum()) is not None:
            return found
        if node.category in ("linalg", "conv", "embedding") and self.weights and (found := self._applied()) is not None:
            return found
        if node.category == "norm":
            kind = next((kind for pattern, kind in NORMS if pattern.search(self.owner)), node.op.partition("_norm")[0])
            return Role(f"normalises_{kind}", self.here)
        if node.category == "activation":
            return self._activation()
        if self.owner.startswith(("Dropout", "AlphaDropout", "FeatureAlphaDropout")) and node.op in ("mul", "where", "div"):
            return Role("dropout", self.here)
        simple = {"pool": "pools", "recurrent": "recurrent"}.get(node.category)
        return Role(simple, self.here) if simple else None

    def general(self) -> Role:
        """What can be said by where it stands."""
        node, operands = self.node, self.operands
        shapes = {"from": _times(operands[0].shape) if operands else "", "to": _times(node.shape)}
        if node.category == "creation":
            return Role("initial_state", self.here) if self._begins_memory() else Role("constant")
        if not self.graph.learned[self.i] and not _inside(node):
            return Role("prepares")
        if node.category in ("shape", "identity") and len(operands) == 1:
            if operands[0].kind == "parameter":
                return Role("shapes_parameter", {"module": operands[0].scope, "name": operands[0].name})
            if len(node.shape) == 2 < len(operands[0].shape) and node.op in ("view", "reshape") and _inside(node):
                return Role("flattens", shapes)
            return Role("rearranges", shapes)
        if not _inside(node) and self.graph.modelled[self.i]:
            return Role("loss_part")
        if node.category == "reduction" and operands:
            return Role("summarises", shapes)
        return Role("part", self.here) if _inside(node) else Role("step")

    def _of_attention(self) -> Role | None:
        node, graph = self.node, self.graph
        through = ("mul", "div", *_MASKING)
        softened = any(graph.nodes[j].op == "softmax" for j in graph.back(self.i, through))
        scored = node.op in (*through, "matmul") and any(graph.nodes[j].op == "softmax" for j in graph.ahead(self.i, through))
        if node.op == "softmax":
            return Role("attention_weights", self.here)
        if node.op in ("matmul", "linear", "einsum") and not self.weights and len(node.shape) >= 3:
            return Role("attention_scores" if scored and not softened else "attention_mix", self.here)
        if node.op in ("mul", "where") and softened:
            return Role("dropout", self.here)
        if node.op in ("mul", "div") and scored:
            return Role("attention_scale", self.here)
        if node.op in _MASKING and scored:
            return Role("attention_mask", self.here)
        if node.category == "shape" and graph.learned[self.i]:
            return self._of_heads()
        return None

    def _of_heads(self) -> Role | None:
        """A rearrangement in an attention: before it or after it."""
        graph = self.graph
        for j in graph.back(self.i):
            role = graph.found[j]
            if role is not None and role.key in ("attention", "attention_mix"):
                return Role("attention_joins", self.here)
            if role is not None and role.key == "applies":
                if role.fields["layer"] == "role.layer.attention_output":
                    return None
                break
        split = self.node.op in ("slice", "select") and len(self.node.shape) <= 4
        return Role("attention_parts" if split else "attention_heads", self.here)

    def _applied(self) -> Role | None:
        weight = self.weights[0]
        if weight.tied:  # here it is what its place says
            weight = replace(weight, tied=(), scope=self.node.scope, modules=self.node.modules)
        told = of_parameter(weight)
        if told is None or told.key in ("tied", "bias", "bias_of"):
            return None
        known = f"role.layer.{told.key}" in entries("en")
        fields = {"layer": f"role.layer.{told.key if known else 'parameter'}", "module": weight.scope or self.owner}
        return Role("looks_up" if self.node.category == "embedding" else "applies", fields)

    def _activation(self) -> Role:
        """The nonlinearity after a layer."""
        for j in self.graph.back(self.i):
            role = self.graph.found[j]
            if role is not None and role.key == "applies":
                up = role.fields["layer"] in ("role.layer.feed_forward_up", "role.layer.feed_forward_gate")
                return Role("activation_feed_forward", self.here) if up else Role("activation", {"after": role.fields["module"]})
        return Role("activation_plain")

    def _sum(self) -> Role | None:
        """A sum is a bias, a position encoding, or a residual connection: of two values of one shape one was made of the other."""
        node, graph = self.node, self.graph
        by_role = [role.key if (role := graph.found[self._source(o)]) is not None else "" for o in node.inputs]
        looked_up = [
            (role := graph.found[o]) is not None and role.key == "looks_up" and role.fields["layer"] == "role.layer.embedding_position"
            for o in node.inputs
        ]
        if any(key in _POSITIONS for key in by_role) or any(looked_up):
            return Role("adds_position", self.here)
        if any(POSITION.search(o.scope.rpartition(".")[2]) for o in self.operands if o.scope):
            return Role("adds_position", self.here)
        if self.weights:
            return Role("adds_bias", {"module": self.weights[0].scope}) if len(self.weights[0].shape) <= 1 else None
        a, b = node.inputs
        if not graph.nodes[a].shape == graph.nodes[b].shape == node.shape:
            return None
        for start, end in ((a, b), (b, a)):
            if graph.learned[end] and (around := self._around(start, end)):
                return Role("residual", self.here | {"around": around})
        return None

    def _source(self, i: int) -> int:
        """What a node is a part or another shape of."""
        node = self.graph.nodes[i]
        while node.category == "shape" and len(node.inputs) == 1:
            i = node.inputs[0]
            node = self.graph.nodes[i]
        return i

    def _around(self, start: int, end: int) -> str:
        """The modules between two nodes, if the second was made of the first: those right below the sum's own."""
        graph, between, reached = self.graph, [], False
        for j in (end, *graph.back(end)):
            if j == start:
                reached = True
                break
            if j < start:
                continue
            between.append(j)
        own = self.node.scope + "." if self.node.scope else ""
        names = [graph.nodes[j].scope for j in sorted(between)]
        below = dict.fromkeys(own + n[len(own) :].partition(".")[0] for n in names if n.startswith(own) and n != self.node.scope)
        known = [n for n in below if n and not re.search(r"(^|\.)(dropout|drop|act|activation)\w*$", n)] or list(below)
        if not reached or not known:
            return ""
        return known[0] if len(known) == 1 else f"{known[0]} … {known[-1]}"

    def _begins_memory(self) -> bool:
        return any(self.graph.nodes[j].category == "recurrent" for j in self.graph.ahead(self.i, ("select", "slice", "view", "expand")))


def _inside(node: NodeInfo) -> bool:
    """Whether a module computed a node."""
    return bool(node.scope or (node.modules and node.modules[0]))


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "1"
