"""The repeated steps of public scripts that learn to continue a text, in small; see loops.py."""


def neural_probabilistic_language_model(T):
    class NNLM(T.nn.Module):
        def __init__(self):
            super().__init__()
            self.C = T.nn.Embedding(7, 2)
            self.H, self.U = T.nn.Linear(4, 2, bias=False), T.nn.Linear(2, 7, bias=False)
            self.d, self.b = T.nn.Parameter(T.ones(2)), T.nn.Parameter(T.ones(7))
            self.W = T.nn.Linear(4, 7, bias=False)

        def forward(self, X):
            X = self.C(X).view(-1, 4)
            return self.b + self.W(X) + self.U(T.tanh(self.d + self.H(X)))

    model = NNLM()
    optimizer, criterion = T.optim.Adam(model.parameters(), lr=0.001), T.nn.CrossEntropyLoss()
    inputs, targets = T.LongTensor([[0, 1], [0, 2], [3, 4]]), T.LongTensor([2, 3, 5])
    while True:
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        "{:.6f}".format(loss)  # noqa: UP032
        loss.backward()
        optimizer.step()
        yield


class _Attention:
    """Mixed into modules: causal attention written out, with a registered mask that is cut to the length at hand."""

    def make(self, T, width, length):
        nn = T.nn
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.register_buffer("tril", T.tril(T.ones(length, length)))

    def attend(self, T, x):
        B, L, C = x.shape
        q, k, v = [t.view(B, L, 2, C // 2).transpose(1, 2) for t in self.qkv(self.ln1(x)).split(C, dim=2)]
        scores = q @ k.transpose(-2, -1) * (C // 2) ** -0.5
        scores = scores.masked_fill(self.tril[:L, :L] == 0, float("-inf"))
        x = x + self.out((T.nn.functional.softmax(scores, dim=-1) @ v).transpose(1, 2).contiguous().view(B, L, C))
        return x + self.mlp(self.ln2(x))


def _gpt(T, vocabulary, length, width=8):
    class Block(_Attention, T.nn.Module):
        def __init__(self):
            super().__init__()
            self.make(T, width, length)

        def forward(self, x):
            return self.attend(T, x)

    class GPT(T.nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = T.nn.Embedding(vocabulary, width), T.nn.Embedding(length, width)
            self.blocks, self.head = T.nn.Sequential(Block(), Block()), T.nn.Linear(width, vocabulary)

        def forward(self, idx, targets=None):
            x = self.tokens(idx) + self.positions(T.arange(idx.shape[1]))
            logits = self.head(self.blocks(x))
            if targets is None:
                return logits, None
            return logits, T.nn.functional.cross_entropy(logits.view(-1, vocabulary), targets.reshape(-1), ignore_index=-1)

    return GPT()


def names_transformer(T):
    model = _gpt(T, 11, 6)
    optimizer = T.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.01, betas=(0.9, 0.99), eps=1e-8)
    words = T.randint(1, 11, (40, 6))

    @T.inference_mode()
    def evaluate():
        model.eval()
        losses = [model(words[8 * i : 8 * i + 8], words[8 * i : 8 * i + 8])[1].item() for i in range(2)]
        model.train()
        return T.tensor(losses).mean().item()

    best = None
    while True:
        for _ in range(2):
            X = words[T.randint(0, 40, (8,))]
            _, loss = model(X[:, :-1], X[:, 1:])
            model.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            loss.item()
        found = evaluate()
        best = found if best is None or found < best else best
        yield


def _batches(T, size, length):
    text = T.randint(0, 9, (300,))
    parts = {"train": text[:250], "val": text[250:]}

    def batch(split):
        data = parts[split]
        ix = T.randint(len(data) - length, (size,))
        x = T.stack([data[i : i + length] for i in ix])
        return x, T.stack([data[i + 1 : i + length + 1] for i in ix])

    return batch


def _estimated(T, model, batch):
    out = {}
    with T.no_grad():
        model.eval()
        for split in ("train", "val"):
            losses = T.zeros(2)
            for k in range(2):
                losses[k] = model(*batch(split))[1].item()
            out[split] = losses.mean()
        model.train()
    return f"{out['train']:.4f}, {out['val']:.4f}"


def _trained(model, batch, optimizer):
    for _ in range(2):
        _, loss = model(*batch("train"))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def bigrams(T):
    """32 pieces of text a batch: their places are as many numbers as a trace takes before it ends (`flush.FEW`)."""
    table, batch = T.nn.Embedding(9, 9), _batches(T, 32, 4)

    class Bigram(T.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = table

        def forward(self, idx, targets):
            logits = self.table(idx)
            B, L, C = logits.shape
            logits = logits.view(B * L, C)
            return logits, T.nn.functional.cross_entropy(logits, targets.view(B * L))

    model = Bigram()
    optimizer = T.optim.AdamW(model.parameters(), lr=1e-2)
    while True:
        _estimated(T, model, batch)
        _trained(model, batch, optimizer)
        yield


def gpt_from_scratch(T):
    model, batch = _gpt(T, 9, 5), _batches(T, 3, 5)
    optimizer = T.optim.AdamW(model.parameters(), lr=1e-3)
    while True:
        _estimated(T, model, batch)
        _trained(model, batch, optimizer)
        with T.no_grad():
            idx = T.zeros((1, 1), dtype=T.long)
            for _ in range(3):
                logits, _ = model(idx[:, -5:])
                idx = T.cat((idx, T.multinomial(T.nn.functional.softmax(logits[:, -1, :], dim=-1), num_samples=1)), dim=1)
        idx[0].tolist()
        yield


def names_mlp(T):
    X, Y = T.randint(0, 9, (50, 3)), T.randint(0, 9, (50,))
    C, W1, b1, W2, b2 = parameters = [T.randn(9, 2), T.randn(6, 5), T.randn(5), T.randn(5, 9), T.randn(9)]
    for p in parameters:
        p.requires_grad = True
    losses = []
    while True:
        ix = T.randint(0, X.shape[0], (8,))
        h = T.tanh(C[X[ix]].view(-1, 6) @ W1 + b1)
        loss = T.nn.functional.cross_entropy(h @ W2 + b2, Y[ix])
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            p.data += -0.1 * p.grad
        losses.append(loss.log10().item())
        yield


def truncated_backpropagation(T):
    embed, lstm, head = T.nn.Embedding(9, 4), T.nn.LSTM(4, 5, 1, batch_first=True), T.nn.Linear(5, 9)
    model = T.nn.ModuleList([embed, lstm, head])
    criterion, optimizer = T.nn.CrossEntropyLoss(), T.optim.Adam(model.parameters(), lr=0.002)
    ids = T.randint(0, 9, (3, 41))
    while True:
        states = T.zeros(1, 3, 5), T.zeros(1, 3, 5)
        for i in range(0, 40, 10):
            inputs, targets = ids[:, i : i + 10], ids[:, i + 1 : i + 11]
            states = [state.detach() for state in states]
            outputs, states = lstm(embed(inputs), states)
            loss = criterion(head(outputs.reshape(-1, 5)), targets.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            T.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            loss.item()
        yield


def selective_scan(T):
    nn, F = T.nn, T.nn.functional
    embed, norm = nn.Embedding(9, 4), nn.LayerNorm(4)
    conv, project, step_size = nn.Conv1d(4, 4, 3, groups=4, padding=2), nn.Linear(4, 6), nn.Linear(2, 4)
    A_log, D = nn.Parameter(T.log(T.arange(1, 3).repeat(4, 1).float())), nn.Parameter(T.ones(4))
    model = nn.ModuleList([embed, norm, conv, project, step_size])
    optimizer = T.optim.AdamW([*model.parameters(), A_log, D], lr=1e-3)
    while True:
        ids = T.randint(0, 9, (2, 7))
        u = F.silu(conv(norm(embed(ids[:, :-1])).transpose(1, 2))[:, :, :6].transpose(1, 2))
        dt, B, C = project(u).split([2, 2, 2], dim=-1)
        delta = F.softplus(step_size(dt))
        decay = T.exp(T.einsum("bld,dn->bldn", delta, -T.exp(A_log.float())))
        driven = T.einsum("bld,bln,bld->bldn", delta, B, u)
        x, ys = T.zeros(2, 4, 2), []
        for i in range(6):
            x = decay[:, i] * x + driven[:, i]
            ys.append(T.einsum("bdn,bn->bd", x, C[:, i, :]))
        logits = F.linear(T.stack(ys, dim=1) + u * D, embed.weight)
        loss = F.cross_entropy(logits.reshape(-1, 9), ids[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        yield
