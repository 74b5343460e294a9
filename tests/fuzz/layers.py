"""Statements of random training scripts: layers, losses, attention."""

import numpy as np

from .statements import statement

#: layers by the number of dimensions of what they are given
LAYERS = {
    1: ["Linear", "LayerNorm", "Bilinear"],
    2: ["Linear", "Linear", "LayerNorm", "BatchNorm1d", "GRUCell", "LSTMCell", "RNNCell", "PReLU", "Dropout", "Sequential", "RMSNorm"],
    3: ["Linear", "LayerNorm", "BatchNorm1d", "LSTM", "GRU", "RNN", "MultiheadAttention", "TransformerEncoderLayer", "Conv1d",
        "ConvTranspose1d",
        "MaxPool1d", "AvgPool1d", "InstanceNorm1d", "GroupNorm", "AdaptiveAvgPool1d", "LSTM2", "TransformerDecoderLayer", "Dropout1d"],
    4: ["Conv2d", "Conv2d", "ConvTranspose2d", "BatchNorm2d", "GroupNorm", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "Upsample",
        "InstanceNorm2d",
        "Linear", "LayerNorm", "PixelUnshuffle", "Dropout2d", "AdaptiveMaxPool2d", "LPPool2d", "Upsample2", "Unfold", "ZeroPad2d", "CNN",
        "Upsample3",
        "Dropout2d"],
    5: ["Conv3d", "BatchNorm3d", "MaxPool3d", "AvgPool3d"],
}  # fmt: skip


@statement(14)
def layer(s):
    r, a = s.random, s.floats(lambda t: 0 < t.dim() < 6 and t.numel() > 0)
    if a is None:
        return
    t = s.sides[0].v[a]
    k = r.choice(LAYERS[t.dim()])
    n, c, out = t.shape[-1], t.shape[1] if t.dim() > 1 else 1, s.size()
    stride, dilation, padding, bias = r.choice([1, 1, 2, 3]), r.choice([1, 1, 2]), r.choice([0, 1, 2]), r.random() < 0.7
    kernel = tuple(r.choice([1, 2, 3, 3]) for _ in range(t.dim() - 2))
    groups = r.choice([1, 1, 1, c]) if c > 1 else 1
    heads = next(h for h in (4, 3, 2, 1) if n % h == 0)
    twice = r.random() < 0.25  # a layer that is called twice in a step
    evaluates = r.random() < 0.2
    flag = r.random() < 0.5

    def make(nn):
        if k in ("Linear", "RMSNorm", "LayerNorm"):
            return (
                nn.Linear(n, n if twice else out, bias=bias)
                if k == "Linear"
                else getattr(nn, k)(n if flag or t.dim() < 2 else t.shape[-2:])
            )
        if k == "Bilinear":
            return nn.Bilinear(n, n, out)
        if k == "PReLU":
            return nn.PReLU(c if flag else 1)
        if k in ("GRUCell", "LSTMCell", "RNNCell"):
            return getattr(nn, k)(n, n)
        if k in ("LSTM", "GRU", "RNN"):
            return getattr(nn, k)(n, n, batch_first=flag, bias=bias)
        if k == "LSTM2":
            return nn.LSTM(n, 3, num_layers=2, bidirectional=flag, batch_first=True)
        if k == "MultiheadAttention":
            return nn.MultiheadAttention(n, heads, batch_first=flag, bias=bias)
        if k.startswith("Transformer"):
            return getattr(nn, k)(n, heads, 2 * n, dropout=0.1 if twice else 0.0, batch_first=flag, norm_first=bias)
        if k.startswith("ConvT"):
            return getattr(nn, k)(c, out * groups if groups > 1 else out, kernel, stride, bias=bias, groups=groups, padding=0)
        if k.startswith("Conv"):
            return getattr(nn, k)(c, out * groups if groups > 1 else out, kernel, stride, padding, dilation, groups=groups, bias=bias)
        if k.startswith("BatchNorm"):
            return getattr(nn, k)(c, affine=bias, momentum=0.3 if flag else None)
        if k.startswith("InstanceNorm"):
            return getattr(nn, k)(c, affine=bias, track_running_stats=flag)
        if k == "GroupNorm":
            return nn.GroupNorm(next(g for g in (3, 2, 1) if c % g == 0), c)
        if k.startswith(("MaxPool", "AvgPool")):
            return getattr(nn, k)(2, stride, 1 if flag else 0)
        if k.startswith("Adaptive"):
            return getattr(nn, k)(2)
        if k == "LPPool2d":
            return nn.LPPool2d(2, 2)
        if k.startswith("Upsample"):
            mode = {"Upsample": "nearest", "Upsample2": "bilinear", "Upsample3": "bicubic"}[k]
            return nn.Upsample(scale_factor=2 if flag else 1.5, mode=mode, **({} if k == "Upsample" else {"align_corners": bias}))
        if k == "Unfold":
            return nn.Unfold(2, padding=padding, stride=stride)
        if k == "PixelUnshuffle":
            return nn.PixelUnshuffle(2)
        if k == "ZeroPad2d":
            return nn.ZeroPad2d((1, 0, -1 if n > 2 else 0, 1))
        if k == "CNN":
            return nn.Sequential(
                nn.Conv2d(c, 4, 3, 1, 1, bias=bias),
                nn.BatchNorm2d(4),
                nn.ReLU(inplace=flag),
                nn.Conv2d(4, c, 3, padding=1),
                nn.MaxPool2d(2, ceil_mode=True),
            )
        if k == "Sequential":
            return nn.Sequential(nn.Linear(n, 2 * n), nn.GELU(), nn.LayerNorm(2 * n), nn.Linear(2 * n, n, bias=bias))
        return getattr(nn, k)(0.3)

    name = s.module(
        f"{k} of {tuple(t.shape)}, {out=} {stride=} {dilation=} {padding=} {kernel=} {groups=} {flag=} {bias=}",
        make,
    )

    def call(side, x):
        m = side.modules[name]
        if k == "Bilinear":
            return m(x, x.flip(0))
        if k == "LSTMCell":
            h, state = m(x)
            return h * 2 + m(x, (h, state))[1]
        if k in ("LSTM", "GRU", "RNN", "LSTM2"):
            y, state = m(x)
            return y + (state[0] if isinstance(state, tuple) else state).sum() if k != "LSTM2" else y * 1.5
        if k == "MultiheadAttention":
            y, w = m(x, x, x * 0.5, need_weights=bias)
            return y if w is None else y * w.amax()
        if k == "TransformerDecoderLayer":
            return m(x, x * 0.5)
        return m(x)

    def run(side):
        m, x = side.modules[name], side.v[a]
        if evaluates and k.startswith("BatchNorm"):
            with side.lib.no_grad():
                m(x)
            m.eval()
        if k.startswith("Dropout") and s.sides[1].device != "cpu":  # a GPU's random numbers are others
            m.eval()
        y = call(side, x)
        if twice and y.shape == x.shape:
            y = call(side, y.tanh())
        m.train()
        return y

    if s.add(f"{name}({a}) twice={twice} evaluates={evaluates}", run) is None:
        for side in s.sides:
            del side.modules[name]
        s.log.pop()


@statement(4)
def losses(s):
    r, a = s.random, s.floats(lambda t: t.dim() == 2 and t.numel() > 0)
    if a is None:
        return
    t = s.sides[0].v[a]
    n, c = t.shape
    k = r.choice(
        "cross_entropy smoothed soft nll bce mse l1 huber kl gaussian_nll hinge poisson smooth_l1 weighted margin ctc cosine triplet "
        "focal".split()
    )
    labels = np.array([r.randrange(c) for _ in range(n)])
    how = r.choice(["mean", "sum", "none"])

    def run(side):
        x, lib = side.v[a], side.lib
        f, y = lib.nn.functional, side.tensor(labels)
        target = lib.sigmoid(x.detach().flip(0) + 0.3)
        if k == "cross_entropy":
            return f.cross_entropy(x, y, reduction=how)
        if k == "smoothed":
            return f.cross_entropy(x, y, label_smoothing=0.1, ignore_index=0, reduction=how)
        if k == "weighted":
            return f.cross_entropy(x, y, weight=lib.linspace(0.5, 1.5, c, dtype=x.dtype, device=x.device), reduction=how)
        if k == "soft":
            return f.cross_entropy(x, target.softmax(-1), reduction=how)
        if k == "nll":
            return f.nll_loss(f.log_softmax(x, -1), y, reduction=how)
        if k == "bce":
            return f.binary_cross_entropy_with_logits(x, target, pos_weight=target[0] + 0.5, reduction=how)
        if k in ("mse", "l1", "smooth_l1", "huber"):
            return getattr(f, k + "_loss")(x, target, reduction=how)
        if k == "kl":
            return f.kl_div(f.log_softmax(x, -1), target.softmax(-1), reduction=how)
        if k == "gaussian_nll":
            return f.gaussian_nll_loss(x, target, x.sigmoid() + 0.1, reduction=how)
        if k == "hinge":
            return f.hinge_embedding_loss(x, lib.where(target > 0.5, 1.0, -1.0).to(x.dtype), reduction=how)
        if k == "poisson":
            return f.poisson_nll_loss(x.tanh(), target, reduction=how)
        if k == "margin":
            return f.multi_margin_loss(x, y, reduction=how)
        if k == "cosine":
            return f.cosine_embedding_loss(x + 0.1, target, lib.where(y > 0, 1, -1), reduction=how)
        if k == "triplet":
            return f.triplet_margin_loss(x, target, x.flip(0) + 1, reduction=how)
        if k == "ctc":
            lengths = side.tensor(np.array([n]))
            return f.ctc_loss(
                f.log_softmax(x, -1).unsqueeze(1), side.tensor(np.array([[1 % c]])), lengths, lengths * 0 + 1, zero_infinity=True
            )
        p = f.softmax(x, -1).gather(1, y[:, None])
        return -(((1 - p) ** 2) * (p + 1e-6).log()).mean()

    s.add(f"loss {k}({a}, {how})", run)


@statement(4)
def attention(s):
    r, a = s.random, s.floats(lambda t: t.dim() in (3, 4) and t.numel() > 0)
    if a is None:
        return
    causal, masked, scale, k = r.random() < 0.4, r.random() < 0.4, r.choice([None, 0.3]), r.choice(["sdpa", "manual", "cross"])

    def run(side):
        x, lib = side.v[a], side.lib
        f, n = lib.nn.functional, x.shape[-2]
        if k == "manual":
            w = x @ x.transpose(-2, -1) / x.shape[-1] ** 0.5
            if causal:
                w = w.masked_fill(lib.triu(lib.ones(n, n, dtype=lib.bool, device=x.device), 1), float("-inf"))
            return w.softmax(-1) @ x
        y = x[..., : max(1, n // 2), :] if k == "cross" else x
        mask = None
        if masked and not causal:
            mask = lib.linspace(-1, 1, n * y.shape[-2], dtype=x.dtype, device=x.device).reshape(n, y.shape[-2])
            mask = mask if scale is None else mask > -0.5
        return f.scaled_dot_product_attention(x, y * 0.7, y.tanh(), mask, 0.0, causal, scale=scale)

    s.add(f"attention {k}({a}) causal={causal} masked={masked} {scale}", run)
