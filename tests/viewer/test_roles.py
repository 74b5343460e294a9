"""Roles: told from module, name and initialiser, and said in every language; nothing is told that is not known."""

import string

import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.i18n import catalog
from torchlike_asg.viewer.node_roles import roles
from torchlike_asg.viewer.roles import NodeInfo, Role, of_parameter, owners, sentence


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(8, 24)
        self.c_proj = nn.Linear(8, 8)
        self.register_buffer("bias", torch.tril(torch.ones(4, 4)))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_fc = nn.Linear(8, 32)
        self.c_proj = nn.Linear(32, 8)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1 = nn.LayerNorm(8)
        self.attn = Attention()
        self.mlp = MLP()


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(30, 8)
        self.wpe = nn.Embedding(4, 8)
        self.h = nn.ModuleList([Block(), Block()])
        self.lm_head = nn.Linear(8, 30, bias=False)
        self.wte.weight = self.lm_head.weight
        self.scale = nn.Parameter(torch.ones(1))


def told(model):
    by_id = {id(t): name for name, t in [*model.named_parameters(), *model.named_buffers()]}
    return {by_id[key]: of_parameter(info) for key, info in owners(model).items()}


def test_the_parameters_of_a_transformer():
    found = {name: role.key for name, role in told(GPT()).items()}
    assert found["wte.weight"] == "tied"
    assert found["wpe.weight"] == "embedding_position"
    assert found["scale"] == "parameter"
    for block in ("h.0", "h.1"):
        assert found[f"{block}.ln_1.weight"] == "norm_scale_layer"
        assert found[f"{block}.ln_1.bias"] == "norm_shift_layer"
        assert found[f"{block}.attn.c_attn.weight"] == "attention_qkv"
        assert found[f"{block}.attn.c_attn.bias"] == "bias_of"
        assert found[f"{block}.attn.c_proj.weight"] == "attention_output"
        assert found[f"{block}.attn.bias"] == "mask"
        assert found[f"{block}.mlp.c_fc.weight"] == "feed_forward_up"
        assert found[f"{block}.mlp.c_proj.weight"] == "feed_forward_down"


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (
            nn.MultiheadAttention(8, 2),
            {"in_proj_weight": "attention_qkv", "in_proj_bias": "bias_of", "out_proj.weight": "attention_output"},
        ),
        (
            nn.MultiheadAttention(8, 2, kdim=4, vdim=6),
            {"q_proj_weight": "attention_query", "k_proj_weight": "attention_key", "v_proj_weight": "attention_value"},
        ),
        (nn.Conv2d(3, 16, 5), {"weight": "filters", "bias": "bias_filters"}),
        (
            nn.BatchNorm2d(4),
            {
                "weight": "norm_scale_batch",
                "bias": "norm_shift_batch",
                "running_mean": "running_mean",
                "running_var": "running_var",
                "num_batches_tracked": "batches_tracked",
            },
        ),
        (
            nn.LSTM(3, 5, 2),
            {"weight_ih_l0": "recurrent_weight_input", "weight_hh_l1": "recurrent_weight_hidden", "bias_hh_l0": "recurrent_bias_hidden"},
        ),
        (nn.GRUCell(3, 5), {"weight_ih": "recurrent_weight_input"}),
        (nn.PReLU(), {"weight": "slope"}),
        (nn.TransformerEncoderLayer(8, 2, 16), {"linear1.weight": "feed_forward_up", "linear2.weight": "feed_forward_down"}),
        (nn.Sequential(nn.Linear(4, 2)), {"0.weight": "linear", "0.bias": "bias_of"}),
        (nn.GroupNorm(2, 4), {"weight": "norm_scale_group"}),
        (nn.InstanceNorm1d(3, affine=True), {"bias": "norm_shift_instance"}),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else "",
)
def test_the_parameters_of_layers(module, expected):
    found = told(module)
    assert {name: found[name].key for name in expected} == expected


def test_initialisers_are_the_real_ones():
    linear = nn.Linear(4, 4)
    assert owners(linear)[id(linear.weight)].initialiser == "kaiming_uniform_(a=2.236, mode=fan_in, nonlinearity=leaky_relu)"
    nn.init.normal_(linear.weight, std=0.02)
    role = of_parameter(owners(linear)[id(linear.weight)])
    assert "normal_(mean=0, std=0.02)" in sentence(role, "en")
    assert "normal_(mean=0, std=0.02)" in sentence(role, "ru")
    assert "kaiming" not in sentence(role, "en")
    plain = nn.Module()
    plain.w = nn.Parameter(torch.zeros(2, 2))
    assert "nitialised" not in sentence(of_parameter(owners(plain)[id(plain.w)]), "en")


def op(name, category, scope, shape, inputs=(), modules=("Model",), **more):
    return NodeInfo(name, category, "op", more.pop("phase", "forward"), scope, modules, "", shape, inputs, **more)


def test_operations_told_from_their_neighbours():
    x = NodeInfo("input", "leaf", "input", "forward", "", (), "", (8, 16))
    w = NodeInfo(
        "var", "leaf", "parameter", "forward", "h.0.mlp.c_fc", ("Model", "ModuleList", "Block", "MLP", "Linear"), "weight", (64, 16)
    )
    y = op("linear", "linalg", "h.0.mlp.c_fc", (8, 64), (0, 1))
    deep = op("mul", "arithmetic", "h.0.mlp", (8, 16), (2,))
    z = op("add", "arithmetic", "h.0", (8, 16), (0, 3))
    soft = op("softmax", "activation", "h.0.attn", (2, 4, 8, 8))
    last = op("softmax", "activation", "", (8, 10))
    unknown = op("mul", "arithmetic", "h.0", (8, 16))
    backward = op("mul", "gradient", "h.0", (8, 16), phase="backward")
    update = op("mul", "arithmetic", "", (8, 16), phase="update")
    loss = op("mean", "reduction", "", (), output=True)
    keys = [r and r.key for r in roles([x, w, y, deep, z, soft, last, unknown, backward, update, loss])]
    assert keys == [
        "input", "feed_forward_up", "applies", "part", "residual", "attention_weights", "probabilities", "part",
        "gradient", "update", "loss",
    ]  # fmt: skip


@pytest.mark.parametrize("lang", catalog.languages())
def test_every_role_can_be_said(lang):
    values = {"gates": "role.gates.lstm", "layer": "role.layer.linear"}
    for key, said in catalog.entries(lang).items():
        if not key.startswith("role.") or key.startswith(("role.gates.", "role.layer.")):
            continue
        names = {name for _, name, _, _ in string.Formatter().parse(said) if name}
        text = sentence(Role(key[5:], {name: values.get(name, "h.0") for name in names}), lang)
        assert "{" not in text
        assert "role." not in text
        assert text[0].isupper()
