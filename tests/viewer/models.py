"""Small models to watch, and graphs of any size."""

import numpy as np

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.viewer.snapshot import GraphSnapshot


class Tiny(nn.Module):
    """Two layers with a norm between them."""

    def __init__(self, width=8, classes=3):
        super().__init__()
        self.first = nn.Linear(6, width)
        self.norm = nn.LayerNorm(width)
        self.act = nn.GELU()
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.act(self.norm(self.first(x))))


def train(model, steps, seed=0, lr=0.1, momentum=0.9):
    """Losses of a plain training loop."""
    torch.manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    losses = []
    for _ in range(steps):
        x, y = torch.randn(16, 6), torch.randint(0, 3, (16,))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def fake_gpt(blocks):
    """The forward graph of a GPT with that many blocks, 13 operations and 8 parameters each, as a snapshot without any model."""
    ops, scopes, categories, names, shapes, edges, constant = [], [], [], [], [], [], []
    modules = {"GPT": "GPT"}

    def node(scope, op, category, shape, *operands, name=""):
        ops.append(op)
        scopes.append(scope)
        categories.append(category)
        names.append(name)
        shapes.append(shape)
        constant.append(category == "weight")
        edges.extend((o, len(ops) - 1) for o in operands)
        return len(ops) - 1

    def layer(scope, kind, op, x, shape, weight):
        modules[scope] = kind
        w = node(scope, "var", "weight", weight, name="weight")
        return node(scope, op, "norm" if op == "layer_norm" else "linalg", shape, x, w)

    x = node("GPT", "input", "input", (4, 64))
    x = layer("GPT.wte", "Embedding", "embedding", x, (4, 64, 96), (65, 96))
    for k in range(blocks):
        block = f"GPT.h.{k}"
        modules |= {block: "Block", f"{block}.attn": "Attention", f"{block}.mlp": "MLP"}
        y = layer(f"{block}.ln_1", "LayerNorm", "layer_norm", x, (4, 64, 96), (96,))
        q, key, v = (layer(f"{block}.attn.{p}", "Linear", "linear", y, (4, 64, 96), (96, 96)) for p in "qkv")
        scores = node(f"{block}.attn", "matmul", "linalg", (4, 64, 64), q, key)
        y = node(f"{block}.attn", "matmul", "linalg", (4, 64, 96), node(f"{block}.attn", "softmax", "activation", (4, 64, 64), scores), v)
        x = node(block, "add", "arithmetic", (4, 64, 96), x, layer(f"{block}.attn.proj", "Linear", "linear", y, (4, 64, 96), (96, 96)))
        y = layer(f"{block}.ln_2", "LayerNorm", "layer_norm", x, (4, 64, 96), (96,))
        y = layer(f"{block}.mlp.c_fc", "Linear", "linear", y, (4, 64, 384), (384, 96))
        y = node(f"{block}.mlp", "gelu", "activation", (4, 64, 384), y)
        x = node(block, "add", "arithmetic", (4, 64, 96), x, layer(f"{block}.mlp.c_proj", "Linear", "linear", y, (4, 64, 96), (96, 384)))
    node("", "cross_entropy", "loss", (), x)
    n = len(ops)
    texts = {"": 0}

    def column(values):
        return np.asarray([texts.setdefault(v, len(texts)) for v in values], np.int32)

    graph = GraphSnapshot(
        op=column(ops),
        name=column(names),
        scope=column(scopes),
        category=column(categories),
        dtype=column(["float32"] * n),
        device=column(["cpu"] * n),
        attrs=column([""] * n),
        file=column(["train.py"] * n),
        line=np.arange(n, dtype=np.int32),
        initialiser=column([""] * n),
        kind=np.asarray([1 if c == "weight" else 3 if c == "input" else 0 for c in categories], np.int8),
        phase=np.zeros(n, np.int8),
        dims=np.asarray([d for s in shapes for d in s], np.int64),
        starts=np.cumsum([0, *map(len, shapes)]).astype(np.int32),
        output=np.asarray([i == n - 1 for i in range(n)]),
        grad=np.ones(n, bool),
        constant=np.asarray(constant),
        stored=np.ones(n, bool),
        nbytes=np.asarray([4 * int(np.prod(s)) for s in shapes], np.int64),
        gradient=np.full(n, -1, np.int32),
        kernel=np.asarray([-1 if c in ("weight", "input") else i // 3 for i, c in enumerate(categories)], np.int32),
        src=np.asarray([e[0] for e in edges], np.int32),
        dst=np.asarray([e[1] for e in edges], np.int32),
        kernel_name=[f"kernel {k}" for k in range(n // 3 + 1)],
        kernel_bytes=np.zeros(n // 3 + 1, np.int64),
        kernel_flops=np.zeros(n // 3 + 1, np.int64),
        modules=modules,
        roles=[None] * n,
    )
    graph.texts = list(texts)
    return graph
