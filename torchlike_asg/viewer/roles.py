"""What a node is for in this model: told from the module it belongs to, its parameter's name, its neighbours and its real initialiser.

The answer is a key of the text catalogue with fields, not a sentence, so that the window can say it in any language. A node nothing is
known about has no role: better none than a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..i18n.catalog import text

Phase = Literal["forward", "backward", "update"]
Kind = Literal["op", "parameter", "buffer", "input", "constant", "known"]


@dataclass(frozen=True)
class Role:
    """``key`` under ``role.`` in the catalogue, and what fills its placeholders."""

    key: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeInfo:
    """What roles are told from.

    ``op, category``  the operation;  ``kind`` of node;  ``phase`` of the training step
    ``scope``   dotted path of the module it was recorded in, or that owns the parameter;  ``modules`` class names from the outermost
    module to that one (the last is the owner)
    ``name``    of a parameter or buffer within its module;  ``shape``;  ``inputs`` numbers of the nodes it reads
    ``initialiser``  how the parameter was last filled, for people: ``kaiming_uniform_(a=2.24)``;  ``tied`` other modules with the same
    parameter;  ``output``  whether the graph ends here (the loss)
    """

    op: str
    category: str
    kind: Kind
    phase: Phase
    scope: str
    modules: tuple[str, ...]
    name: str
    shape: tuple[int, ...]
    inputs: tuple[int, ...] = ()
    initialiser: str = ""
    tied: tuple[str, ...] = ()
    output: bool = False


#: names that modules of attention give to their parts, by the part's role; the first rule that matches the last names of the path counts
_PROJECTIONS = (
    (re.compile(r"(^|[._])(in_proj|qkv|c_attn|to_qkv|query_key_value|wqkv)$"), "attention_qkv"),
    (re.compile(r"(^|[._])(q_proj|w_?q|query|to_q|q_lin|queries|q)$"), "attention_query"),
    (re.compile(r"(^|[._])(k_proj|w_?k|key|to_k|k_lin|keys|k)$"), "attention_key"),
    (re.compile(r"(^|[._])(v_proj|w_?v|value|to_v|v_lin|values|v)$"), "attention_value"),
    (re.compile(r"(^|[._])(kv_proj|to_kv)$"), "attention_key_value"),
    (re.compile(r"(^|[._])(out_proj|o_proj|w_?o|to_out(\.0)?|out_lin|c_proj|proj|dense|fc_out|output)$"), "attention_output"),
)
_FEED_FORWARD = (
    (re.compile(r"(^|[._])(gate_proj|w_?gate|gate)$"), "feed_forward_gate"),
    (re.compile(r"(^|[._])(up_proj|c_fc|fc1|linear1|lin1|w_?1|dense_h_to_4h|up|0)$"), "feed_forward_up"),
    (re.compile(r"(^|[._])(down_proj|c_proj|fc2|linear2|lin2|w_?2|dense_4h_to_h|down|[234])$"), "feed_forward_down"),
)
_ATTENTION = re.compile(r"attn|attention|mha", re.IGNORECASE)
_MLP = re.compile(r"mlp|ffn|feed_?forward|ff$", re.IGNORECASE)
_HEAD = re.compile(r"(^|[._])(lm_head|head|heads|classifier|fc_final|output_layer|generator|decoder)$")
_POSITION = re.compile(r"pos|wpe", re.IGNORECASE)
_NORMS = {
    "LayerNorm": "layer",
    "RMSNorm": "rms",
    "GroupNorm": "group",
    "BatchNorm": "batch",
    "SyncBatchNorm": "batch",
    "InstanceNorm": "instance",
}
_RECURRENT = re.compile(r"^(weight|bias)_(ih|hh|hr)(_l(\d+))?(_reverse)?$")
_GATES = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}


def roles(nodes: Sequence[NodeInfo]) -> list[Role | None]:
    """The role of each node; None where nothing is known."""
    return [_role(node, nodes) for node in nodes]


def _role(node: NodeInfo, nodes: Sequence[NodeInfo]) -> Role | None:
    if node.output and node.phase == "forward" and not node.shape:
        return Role("loss")
    if node.kind in ("parameter", "buffer"):
        return of_parameter(node)
    if node.kind == "input":
        return Role("input")
    if node.kind == "constant":
        return Role("constant")
    if node.phase == "update":
        return Role("update")
    if node.phase == "backward":
        return Role("gradient", {"module": node.scope}) if node.scope else Role("gradient_plain")
    return _of_operation(node, nodes)


def of_parameter(node: NodeInfo) -> Role | None:
    """What a parameter or buffer is, from its module's class first and names second."""
    owner = node.modules[-1] if node.modules else ""
    family = re.sub(r"^Lazy|\d+d$|Cell$", "", owner)
    fields = {"module": node.scope or owner, "initialiser": node.initialiser}
    if node.kind == "buffer":
        known = {"running_mean": "running_mean", "running_var": "running_var", "num_batches_tracked": "batches_tracked"}
        if node.name in known:
            return Role(known[node.name], fields)
        return (
            Role("mask", fields)
            if node.name in ("bias", "mask", "tril", "causal_mask") and len(node.shape) >= 2
            else Role("buffer", fields)
        )
    if node.tied:
        return Role("tied", fields | {"others": ", ".join(node.tied)})
    if family in _NORMS:
        key = "scale" if node.name in ("weight", "scale", "gamma") else "shift" if node.name in ("bias", "beta") else ""
        return Role(f"norm_{key}_{_NORMS[family]}", fields) if key else None
    if family in _GATES:
        return _recurrent(node, family, fields)
    if family in ("Embedding", "EmbeddingBag"):
        position = _POSITION.search(node.scope.rpartition(".")[2])
        return Role("embedding_position" if position else "embedding", fields | {"count": str(node.shape[0]), "width": str(node.shape[-1])})
    if family == "PReLU":
        return Role("slope", fields)
    if family.startswith("Conv") and node.name == "weight":
        return Role("filters", fields | _filters(node, owner))
    if owner == "MultiheadAttention":
        part = node.name.removesuffix("_weight").removesuffix("_bias")
        found = _projection(part, _PROJECTIONS)
        return _weight_or_bias(found, node, fields) if found else None
    if family in ("Linear", "NonDynamicallyQuantizableLinear", "Bilinear", "Conv1D"):
        return _weight_or_bias(_layer(node), node, fields | _widths(node))
    if node.name == "bias" or node.name.endswith("_bias"):
        return Role("bias", fields)
    return Role("parameter", fields)


def _recurrent(node: NodeInfo, family: str, fields: dict[str, str]) -> Role | None:
    found = _RECURRENT.match(node.name)
    if found is None:
        return None
    what, which = found[1], found[2]
    key = "recurrent_projection" if which == "hr" else f"recurrent_{what}_{'input' if which == 'ih' else 'hidden'}"
    return Role(key, fields | {"gates": f"role.gates.{_GATES[family]}", "layer": str(int(found[4] or 0) + 1)})


def _layer(node: NodeInfo) -> str:
    """What a linear layer does, from where it stands."""
    path = node.scope.split(".")
    last = node.scope.rpartition(".")[2]
    around = [*path[:-1], *node.modules[:-1]]
    if any(_ATTENTION.search(part) for part in around) or (len(path) > 1 and "Attention" in node.modules[-2:-1]):
        found = _projection(last, _PROJECTIONS)
        if found:
            return found
    if any(_MLP.search(part) for part in around) or "TransformerEncoderLayer" in node.modules or "TransformerDecoderLayer" in node.modules:
        found = _projection(last, _FEED_FORWARD)
        if found:
            return found
    return "head" if _HEAD.search(node.scope) else "linear"


def _projection(name: str, rules: tuple[tuple[re.Pattern[str], str], ...]) -> str | None:
    return next((key for pattern, key in rules if pattern.search(name)), None)


def _weight_or_bias(key: str, node: NodeInfo, fields: dict[str, str]) -> Role:
    return Role("bias_of" if node.name == "bias" or node.name.endswith("_bias") else key, fields | {"layer": f"role.layer.{key}"})


def _widths(node: NodeInfo) -> dict[str, str]:
    return {"inputs": str(node.shape[-1]), "outputs": str(node.shape[0])} if len(node.shape) == 2 else {}


def _filters(node: NodeInfo, owner: str) -> dict[str, str]:
    transposed = "Transpose" in owner
    return {
        "count": str(node.shape[1 if transposed else 0]),
        "channels": str(node.shape[0 if transposed else 1]),
        "size": "×".join(map(str, node.shape[2:])),
    }


def _of_operation(node: NodeInfo, nodes: Sequence[NodeInfo]) -> Role | None:
    operands = [nodes[i] for i in node.inputs]
    weights = [o for o in operands if o.kind == "parameter"]
    owner = node.modules[-1] if node.modules else ""
    in_attention = any(_ATTENTION.search(part) for part in (*node.modules, *node.scope.split(".")))
    if node.op in ("softmax", "log_softmax"):
        return Role("attention_weights" if in_attention else "probabilities", {"module": node.scope})
    if node.op == "scaled_dot_product_attention":
        return Role("attention", {"module": node.scope})
    if node.op in ("matmul", "linear") and not weights and in_attention and len(node.shape) >= 3:
        square = node.shape[-1] == node.shape[-2]
        softened = any(o.op in ("softmax", "where", "mul") and o.category != "leaf" and len(o.shape) >= 3 for o in operands)
        return Role(
            "attention_mix" if softened and not square else "attention_scores" if square else "attention_mix", {"module": node.scope}
        )
    if node.op == "add" and len(operands) == 2:
        return _sum(node, operands, weights)
    if node.op in ("linear", "matmul", "conv") and weights:
        told = of_parameter(weights[0])
        if told is not None and told.key not in ("tied", "bias", "bias_of"):
            return Role("applies", {"layer": f"role.layer.{told.key}", "module": weights[0].scope})
    if owner.startswith("Dropout") and node.op in ("mul", "where", "div"):
        return Role("dropout", {"module": node.scope})
    return None


def _sum(node: NodeInfo, operands: list[NodeInfo], weights: list[NodeInfo]) -> Role | None:
    """A sum is a bias, a position encoding, or a residual connection: two values of one shape, of which one passed by some modules."""
    if weights:
        return Role("adds_bias", {"module": weights[0].scope}) if len(weights[0].shape) <= 1 else None
    a, b = operands
    if any(_POSITION.search(o.scope.rpartition(".")[2]) for o in operands if o.scope):
        return Role("adds_position", {"module": node.scope})
    deeper = [o for o in operands if o.scope.startswith(node.scope + ".") or (not node.scope and o.scope)]
    if a.shape == b.shape == node.shape and len(deeper) == 1 and node.scope:
        return Role("residual", {"module": node.scope, "around": deeper[0].scope})
    return None


def sentence(role: Role, lang: str) -> str:
    """The role in words."""
    fields = {name: text(value, lang) if value.startswith("role.") else value for name, value in role.fields.items()}
    said = text(f"role.{role.key}", lang, **fields)
    if fields.get("initialiser"):
        said += " " + text("role.initialised", lang, initialiser=fields["initialiser"])
    return said[:1].upper() + said[1:]


def owners(model: Any) -> dict[int, NodeInfo]:
    """Every parameter and buffer of a module by the id of its tensor: where it belongs and how it was filled."""
    found: dict[int, NodeInfo] = {}
    classes = {path: type(module).__name__ for path, module in model.named_modules(remove_duplicate=False)}
    for path, module in model.named_modules(remove_duplicate=False):
        parts = path.split(".") if path else []
        modules = tuple(classes[".".join(parts[:k])] for k in range(len(parts) + 1))
        kinds: tuple[tuple[Kind, Any], ...] = (("parameter", module._parameters), ("buffer", module._buffers))
        for kind, tensors in kinds:
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                known = found.get(id(tensor))
                if known is None:
                    filled = getattr(tensor, "_initialiser", "")
                    found[id(tensor)] = NodeInfo(
                        "var", "leaf", kind, "forward", path, modules, name, tuple(tensor.shape), initialiser=filled
                    )
                elif path != known.scope and path not in known.tied:
                    found[id(tensor)] = replace(known, tied=(*known.tied, path))
    return found
