"""What a parameter is for in this model: told from the module it belongs to, its name and its real initialiser.

The answer is a key of the text catalogue with fields, not a sentence, so that the window can say it in any language. `node_roles` tells the
same of whole graphs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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


#: names that modules of attention give to their parts (the end of the path within the model), by the part's role; the first rule counts
_PROJECTIONS = (
    (re.compile(r"(^|[._])(in_proj|qkv|qkv_proj|c_attn|to_qkv|query_key_value|w_?qkv)$"), "attention_qkv"),
    (re.compile(r"(^|[._])(kv_proj|kv|to_kv|key_value|w_?kv)$"), "attention_key_value"),
    (re.compile(r"(^|[._])(q_proj|w_?q|query|to_q|q_lin|queries|q|linears\.0)$"), "attention_query"),
    (re.compile(r"(^|[._])(k_proj|w_?k|key|to_k|k_lin|keys|k|linears\.1)$"), "attention_key"),
    (re.compile(r"(^|[._])(v_proj|w_?v|value|to_v|v_lin|values|v|linears\.2)$"), "attention_value"),
    (
        re.compile(
            r"(^|[._])(out_proj|o_proj|w_?o|w_out|to_out(\.0)?|out_lin|c_proj|proj|projection|dense|fc_out|fc|output|out|o|linears\.3)$"
        ),
        "attention_output",
    ),
)
_FEED_FORWARD = (
    (re.compile(r"(^|[._])(gate_proj|w_?gate|gate|wi_0|w1_gate)$"), "feed_forward_gate"),
    (
        re.compile(r"(^|[._])(up_proj|c_fc|fc_?1|linear_?1|lin_?1|w_?1|wi|wi_1|fc_in|dense_h_to_4h|intermediate\.dense|up|0)$"),
        "feed_forward_up",
    ),
    (
        re.compile(r"(^|[._])(down_proj|c_proj|fc_?2|linear_?2|lin_?2|w_?2|wo|fc_out|dense_4h_to_h|output\.dense|down|proj|[1-9])$"),
        "feed_forward_down",
    ),
)
ATTENTION = re.compile(r"attn|attention|mha|(^|_)sa$|(^|_)ca$", re.IGNORECASE)
_MLP = re.compile(
    r"mlp|ffn|ffwd|feed_?forward|^ff$|Dense(Relu|Gated)|intermediate|^output$|(Bert|Roberta|Electra|ViT)Output$", re.IGNORECASE
)
#: classes of transformer blocks that hold the layers of the feed-forward part themselves
_BLOCK = re.compile(r"(Encoder|Decoder|Transformer)\w*(Layer|Block)$")
_HEAD = re.compile(r"(^|[._])(lm_head|head|heads|classifier|fc_final|output_layer|embed_out|score|qa_outputs|to_logits|logits)$")
#: the same where they end the whole path, or follow these
_LAST = re.compile(r"^(fc|out|output|out_proj|output_projection|generator|decoder|final|generator\.proj|.*predictions\.decoder)$")
POSITION = re.compile(r"pos|wpe", re.IGNORECASE)
_RELATIVE = re.compile(r"relative|rel_pos|rel_bias", re.IGNORECASE)
_SEGMENT = re.compile(r"token_type|segment", re.IGNORECASE)
_CLASS_TOKEN = re.compile(r"^(cls|class)_?(token|embedding|embed)?$", re.IGNORECASE)
#: the kind of a normalisation by the end of its class's name
NORMS = (
    (re.compile(r"(RMSNorm|T5LayerNorm|RmsNorm)$"), "rms"),
    (re.compile(r"LayerNorm(\dd)?$"), "layer"),
    (re.compile(r"GroupNorm$"), "group"),
    (re.compile(r"BatchNorm(\dd)?$"), "batch"),
    (re.compile(r"InstanceNorm(\dd)?$"), "instance"),
)
_SCALES, _SHIFTS = ("weight", "scale", "gamma", "a_2", "gain", "g"), ("bias", "beta", "shift", "b_2", "offset")
_CONVOLUTION = re.compile(r"Conv(Transpose)?[123]d$")
_RECURRENT = re.compile(r"^(weight|bias)_(ih|hh|hr)(_l(\d+))?(_reverse)?$")
_GATES = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}


def of_parameter(node: NodeInfo) -> Role | None:
    """What a parameter or buffer is, from its module's class first and names second."""
    owner = node.modules[-1] if node.modules else ""
    family = re.sub(r"^Lazy|\d+d$|Cell$", "", owner)
    fields = {"module": node.scope or owner, "initialiser": node.initialiser}
    if node.kind == "buffer":
        return _buffer(node, fields)
    if node.tied:
        return Role("tied", fields | {"others": ", ".join(node.tied)})
    norm = next((kind for pattern, kind in NORMS if pattern.search(owner)), None)
    if norm is not None:
        key = "scale" if node.name in _SCALES else "shift" if node.name in _SHIFTS else ""
        return Role(f"norm_{key}_{norm}", fields) if key else None
    if family in _GATES:
        return _recurrent(node, family, fields)
    if family.endswith(("Embedding", "EmbeddingBag")) and node.name == "weight" and len(node.shape) == 2:
        return Role(_table(node.scope.rpartition(".")[2]), fields | {"count": str(node.shape[0]), "width": str(node.shape[-1])})
    if family == "PReLU":
        return Role("slope", fields)
    if _CONVOLUTION.search(owner) and node.name == "weight" and len(node.shape) > 2:
        return Role("filters", fields | _filters(node, owner))
    if owner == "MultiheadAttention" and node.name not in ("bias_k", "bias_v"):
        part = node.name.removesuffix("_weight").removesuffix("_bias")
        found = _projection(part, _PROJECTIONS)
        return _weight_or_bias(found, node, fields) if found else None
    if (family.endswith("Linear") or owner in ("Bilinear", "Conv1D")) and node.name in ("weight", "bias"):
        return _weight_or_bias(_layer(node), node, fields | _widths(node, owner))
    if node.name == "bias" or node.name.endswith("_bias"):
        return Role("bias_filters" if _CONVOLUTION.search(owner) else "bias", fields)
    return Role(_loose(node, owner), fields | {"name": node.name})


def _buffer(node: NodeInfo, fields: dict[str, str]) -> Role:
    known = {"running_mean": "running_mean", "running_var": "running_var", "num_batches_tracked": "batches_tracked"}
    if node.name in known:
        return Role(known[node.name], fields)
    if len(node.shape) >= 2 and (node.name == "bias" or re.search(r"mask|tril|causal", node.name)):
        return Role("mask", fields)
    if node.name in ("pe", "pos_table", "positional_encoding", "pos_encoding") or re.search(
        r"^(pos|sin|cos)\w*(emb|enc|cached)", node.name
    ):
        return Role("position_fixed", fields)
    return Role("rotary" if node.name == "inv_freq" else "buffer", fields)


def _table(name: str) -> str:
    """What an embedding table is of, by its name."""
    if _RELATIVE.search(name):
        return "embedding_relative"
    if _SEGMENT.search(name):
        return "embedding_segment"
    return "embedding_position" if POSITION.search(name) else "embedding"


def _loose(node: NodeInfo, owner: str) -> str:
    """A parameter that a module holds by itself, without a layer around it."""
    name = node.name
    if _RELATIVE.search(name):
        return "position_relative"
    if POSITION.search(name):
        return "position_learned"
    if _CLASS_TOKEN.search(name):
        return "class_token"
    if owner.startswith("LayerScale") or re.search(r"layer_?scale|^gamma(_\d)?$", name, re.IGNORECASE):
        return "layer_scale"
    return "temperature" if re.search(r"temperature|logit_scale", name) else "parameter"


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
    above = [*path[:-1], *node.modules[:-1]]
    near = [*path[-4:-1], *node.modules[-4:-1]]  # a block's own name is no reason to take its parts for attention
    if any(ATTENTION.search(part) for part in near) or (path[-1:] == ["in_proj"] and any(ATTENTION.search(part) for part in above)):
        found = _projection(node.scope, _PROJECTIONS)
        if found and not any(_MLP.search(part) and part not in ("output", "BertOutput") for part in near):
            return found
    if any(_MLP.search(part) for part in near) or any(_BLOCK.search(kind) for kind in node.modules[-2:-1]):
        found = _projection(node.scope, _FEED_FORWARD)
        if found:
            return found
    return "head" if _HEAD.search(node.scope) or _LAST.search(node.scope) else "linear"


def _projection(name: str, rules: tuple[tuple[re.Pattern[str], str], ...]) -> str | None:
    return next((key for pattern, key in rules if pattern.search(name)), None)


def _weight_or_bias(key: str, node: NodeInfo, fields: dict[str, str]) -> Role:
    return Role("bias_of" if node.name == "bias" or node.name.endswith("_bias") else key, fields | {"layer": f"role.layer.{key}"})


def _widths(node: NodeInfo, owner: str) -> dict[str, str]:
    """A matrix lies as (outputs, inputs), but for the class of GPT-2's own layers."""
    outputs, inputs = (-1, 0) if owner == "Conv1D" else (0, -1)
    return {"inputs": str(node.shape[inputs]), "outputs": str(node.shape[outputs])} if len(node.shape) == 2 else {}


def _filters(node: NodeInfo, owner: str) -> dict[str, str]:
    transposed = "Transpose" in owner
    return {
        "count": str(node.shape[1 if transposed else 0]),
        "channels": str(node.shape[0 if transposed else 1]),
        "size": "×".join(map(str, node.shape[2:])),
    }


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
