"""From the nodes of a training step to a `GraphSnapshot`.

Identities of the recorder (``stop``, ``rebind`` ...) and literals are left out: an edge leads to the value behind the identity, and a
literal stands in the text of the operation that reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..asg.declare import CONST, INPUT, LEAF_OF, LEAVES, REBIND, SCALAR, TRANSFER, VAR, Op
from ..asg.node import Node
from ..asg.rewrite import topo
from ..asg.scope import Site
from .node_roles import roles
from .roles import NodeInfo
from .snapshot import KINDS, MIRROR, PHASES, UPDATE, GraphSnapshot


@dataclass
class Step:
    """What is known of the nodes of one training step.

    ``roots`` its results;  ``losses`` where backward passes began;  ``gradients`` node -> its gradient;  ``updates`` (old value of a
    storage, new one) of the optimizer;  ``plans`` that ran;  ``leaves`` what is to be shown as the leaf that it is the content of
    ``originals``  node -> the one that ran, if it is shown otherwise
    """

    roots: Sequence[Node]
    losses: Sequence[Node] = ()
    gradients: Mapping[Node, Node] = field(default_factory=dict)
    updates: Sequence[tuple[Node, Node]] = ()
    plans: Sequence[Any] = ()
    leaves: Mapping[Node, Node] = field(default_factory=dict)
    originals: Mapping[Node, Node] = field(default_factory=dict)


def capture(step: Step, infos: Mapping[Any, NodeInfo] | None = None, root: str = "") -> tuple[GraphSnapshot, list[Node]]:
    """The snapshot of a step, and its nodes in the snapshot's order.

    ``infos``: what is known of parameters and buffers, by their leaf nodes;  ``root`` the class name of the model they belong to.
    """
    return _Capture(step, infos or {}, root).made()


def behind(n: Node) -> Node:
    """The value that an identity stands for."""
    while n.op.category == "identity" and n.op is not LEAF_OF and n.op is not TRANSFER and n.srcs:
        n = n.srcs[1] if n.op is REBIND else n.srcs[0]
    return n


class _Capture:
    def __init__(self, step: Step, infos: Mapping[Any, NodeInfo], root: str) -> None:
        self.step, self.infos, self.root = step, infos, root
        everything = topo([*map(self._behind, step.roots), *step.leaves.values()], step.leaves)
        self.nodes = [n for n in everything if n is self._behind(n) and n.op is not CONST and n.op is not SCALAR]
        self.index = {n: i for i, n in enumerate(self.nodes)}
        self.operands: list[list[int]] = []
        for n in self.nodes:
            behind = [] if n.op in LEAVES else [self._behind(s) for s in n.srcs]
            self.operands.append([self.index[s] for s in behind if s in self.index])
        self.texts: dict[str, int] = {"": 0}
        self.sites: list[Site] = []

    def _behind(self, n: Node) -> Node:
        n = behind(n)
        return self.step.leaves.get(n, n)

    def _text(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    # ---------------------------------------------------------------- phases and scopes
    def _ancestors(self, roots: Iterable[Node]) -> set[int]:
        seen: set[int] = set()
        stack = [self.index[b] for r in roots if (b := self._behind(r)) in self.index]
        while stack:
            i = stack.pop()
            if i not in seen:
                seen.add(i)
                stack += self.operands[i]
        return seen

    def _phases(self) -> list[int]:
        forward = self._ancestors(self.step.losses)
        backward = self._ancestors(self.step.gradients.values()) - forward
        update = self._ancestors(new for _, new in self.step.updates) - forward - backward
        phases = []
        for i, operands in enumerate(self.operands):
            after = max((phases[o] for o in operands), default=0)
            phases.append(0 if i in forward else 1 if i in backward else 2 if i in update or after else 0)
        return phases

    def _find_sites(self, phases: list[int]) -> None:
        """Where each node was recorded in this model. A node that depends on no leaf is shared by all that compute it, and its site says
        who was first: a place for data stands where it is read, and what another model recorded where this one uses it."""
        self.sites = [n.site for n in self.nodes]
        users: dict[int, int] = {}
        for i, operands in enumerate(self.operands):
            for o in operands:
                if phases[o] == phases[i]:
                    users.setdefault(o, i)
        owned = self._depends(VAR)
        for i in reversed(range(len(self.nodes))):
            path = self.sites[i][0].partition(" (")[0].partition(".")[0]
            foreign = bool(self.root and path) and path != self.root
            if i in users and (self.nodes[i].op is INPUT or (foreign and not owned[i])):
                self.sites[i] = self.sites[users[i]]

    def _scopes(self, phases: list[int]) -> list[str]:
        scopes = []
        for i, n in enumerate(self.nodes):
            info = self.infos.get(n)
            if info is not None:
                scope = ".".join(part for part in (self.root, info.scope) if part)
            else:
                scope = self.sites[i][0].partition(" (")[0]
            scopes.append((f"{MIRROR}.{scope}" if scope else MIRROR) if phases[i] == 1 else UPDATE if phases[i] == 2 else scope)
        self._scope_updates(phases, scopes)
        for i, n in enumerate(self.nodes):  # a leaf that no module owns stands with what reads it first
            if n.op is VAR and n not in self.infos and not phases[i] and not scopes[i]:
                phases[i] = phases[self._first_user.get(i, i)]
                scopes[i] = scopes[self._first_user.get(i, i)]
        return scopes

    def _scope_updates(self, phases: list[int], scopes: list[str]) -> None:
        """Within the update, what serves one parameter stands in a scope of its own; what several share stands outside."""
        owner: dict[int, int] = {}
        self._first_user: dict[int, int] = {}
        for i, operands in enumerate(self.operands):
            for o in operands:
                self._first_user.setdefault(o, i)
        leaves = [(old, self.index.get(self._behind(new))) for old, new in self.step.updates]
        names: dict[int, str] = {}
        for k, (old, top) in enumerate(leaves):
            if top is None:
                continue
            info = self.infos.get(old)
            own = ".".join(part for part in (info.scope, info.name) if part).replace(".", "/") if info is not None else ""
            reached, stack = set(), [top]
            while stack:
                i = stack.pop()
                if i in reached or phases[i] != 2:
                    continue
                reached.add(i)
                stack += self.operands[i]
            for i in reached:
                if own:
                    names.setdefault(i, own)
                    if owner.setdefault(i, k) != k and names[i] != own:
                        names[i] = ""
        for i, name in names.items():
            if name:
                scopes[i] = f"{UPDATE}.{name}"

    def _modules(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for site in self.sites:
            path, _, rest = site[0].partition(" (")
            if path:
                found.setdefault(path, rest[:-1] if rest else path.rpartition(".")[2])
                top = path.partition(".")[0]
                found.setdefault(top, top)
        for info in self.infos.values():
            parts = [p for p in info.scope.split(".") if p]
            for k in range(len(parts) + 1):
                if k < len(info.modules):
                    found[".".join([p for p in (self.root, *parts[:k]) if p])] = info.modules[k]
        for path, kind in list(found.items()):
            found[f"{MIRROR}.{path}"] = kind
        return found

    # ---------------------------------------------------------------- columns
    def made(self) -> tuple[GraphSnapshot, list[Node]]:
        nodes, phases = self.nodes, self._phases()
        self._find_sites(phases)
        scopes = self._scopes(phases)
        infos = [self._info(i, phases[i], scopes[i]) for i in range(len(nodes))]
        t = self._text

        def texts(of: Iterable[str]) -> NDArray[Any]:
            return np.asarray([t(x) for x in of], np.int32)

        outputs = {self.index[b] for r in self.step.losses or self.step.roots if (b := self._behind(r)) in self.index}
        edges = [(s, d) for d, operands in enumerate(self.operands) for s in operands]
        src, dst = (np.asarray(column, np.int32) for column in (zip(*edges, strict=True) if edges else ((), ())))
        gradients = {
            self.index[n]: self.index[b] for n, g in self.step.gradients.items() if n in self.index and (b := self._behind(g)) in self.index
        }
        kernel, names, moved, flops, stored = self._kernels()
        snapshot = GraphSnapshot(
            op=texts(n.op.name for n in nodes),
            name=texts(info.name for info in infos),
            scope=texts(scopes),
            category=texts(self._category(n, p) for n, p in zip(nodes, phases, strict=True)),
            dtype=texts(n.dtype.name for n in nodes),
            device=texts(str(n.device) for n in nodes),
            attrs=texts(self._call(n) for n in nodes),
            file=texts(site[1] for site in self.sites),
            line=np.asarray([site[2] for site in self.sites], np.int32),
            initialiser=texts(info.initialiser for info in infos),
            kind=np.asarray([KINDS.index(info.kind) for info in infos], np.int8),
            phase=np.asarray(phases, np.int8),
            dims=np.asarray([d for n in nodes for d in n.shape], np.int64),
            starts=np.cumsum([0, *[len(n.shape) for n in nodes]]).astype(np.int32),
            output=np.asarray([i in outputs for i in range(len(nodes))], np.bool_),
            grad=np.asarray([n.rg for n in nodes], np.bool_),
            constant=~self._depends(INPUT),
            stored=stored,
            nbytes=np.asarray([n.numel * n.dtype.storage.itemsize for n in nodes], np.int64),
            gradient=np.asarray([gradients.get(i, -1) for i in range(len(nodes))], np.int32),
            kernel=kernel,
            src=src,
            dst=dst,
            kernel_name=names,
            kernel_bytes=np.asarray(moved, np.int64),
            kernel_flops=np.asarray(flops, np.int64),
            modules=self._modules(),
            roles=[None if r is None else [r.key, dict(r.fields)] for r in roles(infos)],
        )
        snapshot.texts = list(self.texts)
        return snapshot, nodes

    def _info(self, i: int, phase: int, scope: str) -> NodeInfo:
        n = self.nodes[i]
        known = self.infos.get(n)
        if known is not None:
            return known
        kind = "input" if n.op is INPUT else "parameter" if n.op is VAR and n.rg else "buffer" if n.op is VAR else "op"
        plain = scope.removeprefix(f"{MIRROR}.").partition(".")[2]
        last = self.sites[i][0].partition(" (")[2][:-1]
        modules = (scope.partition(".")[0], *[""] * (plain.count(".") if plain else 0), *([last] if last else []))
        outputs = bool(self.step.losses) and any(self._behind(r) is n for r in self.step.losses)
        return NodeInfo(
            n.op.name,
            n.op.category,
            kind,  # type: ignore[arg-type]
            PHASES[phase],  # type: ignore[arg-type]
            plain,
            modules,
            "",
            tuple(n.shape),
            tuple(self.operands[i]),
            output=outputs,
        )

    @staticmethod
    def _category(n: Node, phase: int) -> str:
        if n.op is INPUT:
            return "input"
        return "weight" if n.op is VAR else "gradient" if phase == 1 else n.op.category

    def _call(self, n: Node) -> str:
        """``(·, 0.5, dim=-1)``: operands that are drawn as dots, literals as themselves, attributes by name."""
        if n.op in LEAVES:
            return ""
        parts = []
        for s in n.srcs:
            b = self._behind(s)
            literal = b.attrs[0] if b.op is CONST or b.op is SCALAR else None
            parts.append("·" if literal is None else f"{literal:.6g}" if isinstance(literal, float) else str(literal))
        names = n.op.params or ()
        parts += [f"{names[k]}={a!r}" if k < len(names) else repr(a) for k, a in enumerate(n.attrs)]
        text = ", ".join(parts)
        return f"({text if len(text) <= 300 else text[:297] + '...'})"

    def _depends(self, on: Op) -> NDArray[Any]:
        """Which nodes are of this operation, or computed from one that is."""
        found: list[bool] = []
        for n, operands in zip(self.nodes, self.operands, strict=True):
            found.append(n.op is on or any(found[o] for o in operands))
        return np.asarray(found, np.bool_)

    def _kernels(self) -> tuple[NDArray[Any], list[str], list[int], list[int], NDArray[Any]]:
        """Which kernel computes each node, the kernels, and which values lie in memory. Nodes that the compiler made belong to those that
        they were made of; of several kernels the first counts (later ones compute it again), or the one that does the work."""
        by_serial = {self.step.originals.get(n, n).serial: i for i, n in enumerate(self.nodes)}
        kernel = np.full(len(self.nodes), -1, np.int32)
        stored = np.asarray([n.op in LEAVES for n in self.nodes], np.bool_)
        names: list[str] = []
        moved: list[int] = []
        flops: list[int] = []
        for call, origin, written, recorded in kernels(self.step.plans):
            call_flops = int(getattr(call, "flops", 0))
            for n in origin.nodes:
                i = by_serial.get(recorded[n], -1)
                if i >= 0:
                    stored[i] |= n in written
                    known = int(kernel[i])
                    more = 0 <= known < len(flops) and call_flops > flops[known] and n.op.name == self.nodes[i].op.name
                    if known < 0 or more:
                        kernel[i] = len(names)
            names.append(
                getattr(call, "label", "") or (str(call.source.key[0]) if hasattr(call, "source") else f"numpy {call.node.op.name}")
            )
            moved.append(int(getattr(call, "bytes", 0)))
            flops.append(call_flops)
        return kernel, names, moved, flops, stored


def kernels(plans: Iterable[Any]) -> list[tuple[Any, Any, set[Node], dict[Node, int]]]:
    """(step, what it computes, the values that it leaves in memory, `Plan.recorded`) of all kernels of some plans, in order."""
    found = []
    for plan in plans:
        made = getattr(plan.executable, "made", None)
        if made is None:
            continue
        recorded = plan.recorded()
        found += [(call, origin, made.written, recorded) for call, origin in zip(made.steps, made.origins, strict=True)]
    return found
