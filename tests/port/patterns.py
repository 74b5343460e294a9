"""Training loops in the manner of public scripts, each a function of the library that returns the numbers a reader would look at.

No attention here has a bias in its keys: softmax does not notice what it adds, so its gradient is nothing but rounding, which Adam
scales up to steps of full size. PyTorch does not reproduce such weights itself when it uses other vector instructions.
"""

import math

import numpy as np


def weights(module):
    """A few numbers that depend on every weight."""
    return [p.detach().double().pow(2).sum().item() for p in module.parameters()]


# ===== Adversaries


def gan_with_two_optimizers(T):
    """The generator's images are judged after it was stepped, and detached for the discriminator."""
    nn = T.nn
    generator = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Linear(16, 8), nn.Tanh())
    critic = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2, inplace=True), nn.Dropout(0.3), nn.Linear(16, 1), nn.Sigmoid())

    def initialise(module):
        if module.__class__.__name__.find("Linear") != -1:
            module.weight.data.normal_(0.0, 0.2)
            module.bias.data.fill_(0)

    generator.apply(initialise)
    critic.apply(initialise)
    g_step = T.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    c_step = T.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.999))
    criterion = nn.BCELoss()
    losses = []
    for _ in range(6):
        real = T.randn(12, 8) * 0.3 + 0.5
        ones = T.full((12, 1), 1.0)
        fake = generator(T.randn(12, 4))
        g_loss = criterion(critic(fake), ones)
        g_step.zero_grad()
        g_loss.backward()
        g_step.step()
        c_loss = (criterion(critic(real), ones) + criterion(critic(fake.detach()), ones * 0)) / 2
        c_step.zero_grad()
        c_loss.backward()
        c_step.step()
        losses.append([g_loss.item(), c_loss.item(), critic(real).mean().item()])
    return losses, weights(generator), weights(critic)


def wgan_with_gradient_penalty(T):
    """The norm of the critic's gradient at mixtures is part of its loss: second derivatives."""
    nn = T.nn
    generator = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 6))
    critic = nn.Sequential(nn.Linear(6, 12), nn.LeakyReLU(0.2), nn.Linear(12, 1))
    steps = [T.optim.Adam(m.parameters(), lr=1e-3, betas=(0.0, 0.9)) for m in (generator, critic)]
    record = []
    for i in range(6):
        real, noise = T.randn(10, 6) + 1, T.randn(10, 3)
        fake = generator(noise).detach()
        share = T.rand(10, 1)
        mixed = (share * real + (1 - share) * fake).requires_grad_(True)
        scores = critic(mixed)
        (slope,) = T.autograd.grad(scores, mixed, grad_outputs=T.ones_like(scores), create_graph=True, retain_graph=True)
        penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        steps[1].zero_grad()
        loss.backward()
        steps[1].step()
        if i % 2 == 0:
            steps[0].zero_grad()
            (-critic(generator(noise)).mean()).backward()
            steps[0].step()
        record.append([loss.item(), penalty.item()])
    return record, weights(generator), weights(critic)


# ===== Sequences


def seq2seq_with_assignment(T):
    """A decoder whose outputs are written into a tensor step by step, and differentiated through it; teacher forcing by a coin."""
    nn, F = T.nn, T.nn.functional

    class Attention(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.attn = nn.Linear(2 * size, size)

        def forward(self, state, outputs):
            energy = T.zeros(outputs.size(0))
            query = self.attn(T.cat((state.expand(outputs.size(0), -1), outputs), 1))
            for i in range(outputs.size(0)):
                energy[i] = query[i] @ outputs[i]
            return F.softmax(energy, dim=0)

    embed, attention = nn.Embedding(11, 8), Attention(8)
    encoder, decoder, out = nn.GRU(8, 8), nn.GRUCell(16, 8), nn.Linear(8, 11)
    parts = nn.ModuleList([embed, attention, encoder, decoder, out])
    optimizer = T.optim.SGD(parts.parameters(), lr=0.3)
    coin = np.random.default_rng(0)
    losses = []
    for _ in range(6):
        source, target = T.randint(0, 11, (5,)), T.randint(0, 11, (4,))
        states, hidden = encoder(embed(source).unsqueeze(1))
        states, state = states.squeeze(1), hidden[0]
        logits = T.zeros(len(target), 11)
        word = T.tensor([0])
        forced = coin.random() < 0.5
        for t in range(len(target)):
            weight = attention(state, states)
            context = weight.unsqueeze(0) @ states
            state = decoder(T.cat((embed(word), context), 1), state)
            logits[t] = out(state)[0]
            word = target[t : t + 1] if forced else logits[t].argmax().view(1).detach()
        loss = F.cross_entropy(logits, target)
        optimizer.zero_grad()
        loss.backward()
        T.nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses, weights(parts)


def encoder_decoder_transformer(T):
    """Multi-head attention by hand, label smoothing by scatter_, a warm-up schedule, a copy task and greedy decoding."""
    nn, F = T.nn, T.nn.functional
    vocabulary, width, heads = 9, 16, 4

    def attend(q, k, v, mask):
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
        return scores.masked_fill(mask == 0, -1e9).softmax(-1) @ v

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.linears = nn.ModuleList([nn.Linear(width, width, bias=i > 1) for i in range(4)])

        def forward(self, q, k, v, mask):
            n = q.size(0)
            q, k, v = (f(x).view(n, -1, heads, width // heads).transpose(1, 2) for f, x in zip(self.linears, (q, k, v)))  # noqa: B905
            joined = attend(q, k, v, mask.unsqueeze(1)).transpose(1, 2).contiguous().view(n, -1, width)
            return self.linears[-1](joined)

    class Layer(nn.Module):
        def __init__(self, cross):
            super().__init__()
            self.own, self.cross = Heads(), Heads() if cross else None
            self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
            self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(2 * width, width))

        def forward(self, x, mask, memory=None, memory_mask=None):
            y = self.norms[0](x)
            x = x + self.own(y, y, y, mask)
            if self.cross is not None:
                x = x + self.cross(self.norms[1](x), memory, memory, memory_mask)
            return x + self.feed(self.norms[2](x))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.out = nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary)
            table = T.zeros(32, width)
            position = T.arange(0, 32).unsqueeze(1)
            rate = T.exp(T.arange(0, width, 2) * -(math.log(10000.0) / width))
            table[:, 0::2], table[:, 1::2] = T.sin(position * rate), T.cos(position * rate)
            self.register_buffer("table", table.unsqueeze(0))
            self.encoder, self.decoder = Layer(False), Layer(True)
            for p in self.parameters():
                if p.dim() > 1:
                    nn.init.xavier_uniform_(p)

        def place(self, x):
            return self.embed(x) * math.sqrt(width) + self.table[:, : x.size(1)].requires_grad_(False)

        def encode(self, x, mask):
            return self.encoder(self.place(x), mask)

        def decode(self, memory, memory_mask, y, mask):
            return F.log_softmax(self.out(self.decoder(self.place(y), mask, memory, memory_mask)), -1)

    def subsequent(n):
        return T.triu(T.ones(1, n, n), diagonal=1).type(T.uint8) == 0

    model = Model()
    optimizer = T.optim.Adam(model.parameters(), lr=0.5, betas=(0.9, 0.98), eps=1e-9)
    schedule = T.optim.lr_scheduler.LambdaLR(optimizer, lambda step: width**-0.5 * min(max(step, 1) ** -0.5, max(step, 1) * 20**-1.5))
    criterion = nn.KLDivLoss(reduction="sum")
    losses = []
    for _ in range(6):
        data = T.randint(1, vocabulary, (6, 7))
        data[:, 0] = 1
        mask = (data != 0).unsqueeze(-2)
        given, wanted = data[:, :-1], data[:, 1:]
        scores = model.decode(model.encode(data, mask), mask, given, subsequent(6)).reshape(-1, vocabulary)
        with T.no_grad():
            smooth = scores.data.clone()
            smooth.fill_(0.1 / (vocabulary - 2))
            smooth.scatter_(1, wanted.reshape(-1, 1), 0.9)
            smooth[:, 0] = 0
            padded = T.nonzero(wanted.reshape(-1) == 0)
            if padded.dim() > 0 and len(padded) > 0:
                smooth.index_fill_(0, padded.squeeze(), 0.0)
        loss = criterion(scores, smooth) / wanted.numel()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        losses.append(loss.item())
    model.eval()
    source = T.arange(1, 8).unsqueeze(0)
    memory, written = model.encode(source, T.ones(1, 1, 7)), T.ones(1, 1).type_as(source.data)
    for _ in range(4):
        word = model.decode(memory, T.ones(1, 1, 7), written, subsequent(written.size(1)))[:, -1].argmax(1).item()
        written = T.cat([written, T.ones(1, 1).type_as(source.data).fill_(word)], dim=1)
    return losses, optimizer.param_groups[0]["lr"], written.tolist(), weights(model)


def language_model_that_writes(T):
    """Causal attention with a registered mask, tied weights, decay groups, clipping; then sampling with a growing context and top-k."""
    nn, F = T.nn, T.nn.functional
    vocabulary, block, width, heads = 13, 8, 16, 2

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
            self.attn, self.proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1))
            self.register_buffer("tril", T.tril(T.ones(block, block)).view(1, 1, block, block))

        def forward(self, x):
            n, t, _ = x.shape
            q, k, v = (z.view(n, t, heads, width // heads).transpose(1, 2) for z in self.attn(self.ln_1(x)).split(width, dim=2))
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            scores = scores.masked_fill(self.tril[:, :, :t, :t] == 0, float("-inf"))
            y = (F.softmax(scores, dim=-1) @ v).transpose(1, 2).contiguous().view(n, t, width)
            x = x + self.proj(y)
            return x + self.mlp(self.ln_2(x))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.transformer = nn.ModuleDict(
                dict(
                    wte=nn.Embedding(vocabulary, width),
                    wpe=nn.Embedding(block, width),
                    h=nn.ModuleList([Block() for _ in range(2)]),
                    ln_f=nn.LayerNorm(width),
                )
            )
            self.lm_head = nn.Linear(width, vocabulary, bias=False)
            self.transformer.wte.weight = self.lm_head.weight
            for name, p in self.named_parameters():
                if p.dim() > 1:
                    nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(4) if name.endswith("proj.weight") else 0.02)

        def forward(self, idx, targets=None):
            x = self.transformer.wte(idx) + self.transformer.wpe(T.arange(idx.size(1), device=idx.device))
            for layer in self.transformer.h:
                x = layer(x)
            x = self.transformer.ln_f(x)
            if targets is None:
                return self.lm_head(x[:, [-1], :]), None
            logits = self.lm_head(x)
            return logits, F.cross_entropy(logits.view(-1, vocabulary), targets.view(-1), ignore_index=-1)

    text = T.randint(0, vocabulary, (200,))
    model = Model()
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = T.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95))
    losses = []
    for i in range(5):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (i + 1) / 5
        for _ in range(2):
            starts = T.randint(len(text) - block, (4,))
            x = T.stack([text[s : s + block] for s in starts])
            y = T.stack([text[s + 1 : s + 1 + block] for s in starts])
            _, loss = model(x, y)
            (loss / 2).backward()
        T.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    model.eval()
    written = T.zeros((1, 1), dtype=T.long)
    with T.no_grad():
        for _ in range(10):
            logits = model(written[:, -block:])[0][:, -1, :] / 0.8
            kept, _ = T.topk(logits, min(5, logits.size(-1)))
            logits[logits < kept[:, [-1]]] = -float("Inf")
            written = T.cat((written, T.multinomial(F.softmax(logits, dim=-1), num_samples=1)), dim=1)
    return losses, written.tolist(), weights(model)


# ===== Physics and second order


def lbfgs_with_a_closure(T):
    """LSTM cells over a wave in float64; LBFGS evaluates its closure as often as it likes."""
    T.set_default_dtype(T.float64)
    try:
        nn = T.nn
        cells, out = [nn.LSTMCell(1, 7), nn.LSTMCell(7, 7)], nn.Linear(7, 1)
        parameters = [p for m in (*cells, out) for p in m.parameters()]
        waves = T.from_numpy(np.sin((np.arange(12)[None, :] + np.array([[0.0], [2.0], [5.0]])) / 2.0))
        given, wanted = waves[:, :-1], waves[:, 1:]
        criterion = nn.MSELoss()
        optimizer = T.optim.LBFGS(parameters, lr=0.5, max_iter=5)
        losses = []

        def predict(x, future=0):
            states = [[T.zeros(x.size(0), 7, dtype=T.double) for _ in range(2)] for _ in cells]
            outputs = []
            for step in list(x.split(1, dim=1)) + [None] * future:
                h = outputs[-1] if step is None else step
                for cell, state in zip(cells, states):  # noqa: B905
                    state[0], state[1] = cell(h, (state[0], state[1]))
                    h = state[0]
                outputs.append(out(h))
            return T.cat(outputs, dim=1)

        def closure():
            optimizer.zero_grad()
            loss = criterion(predict(given), wanted)
            losses.append(loss.item())
            loss.backward()
            return loss

        for _ in range(2):
            optimizer.step(closure)
        with T.no_grad():
            ahead = predict(given, future=3)[:, -3:]
        return losses, ahead, [p.detach() for p in parameters]
    finally:
        T.set_default_dtype(T.float32)


def hamiltonian_network(T):
    """The field is the gradient of a learned energy: training differentiates a gradient."""
    nn = T.nn
    energy = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1, bias=False))
    for layer in energy:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight)
    turn = T.tensor([[0.0, 1.0], [-1.0, 0.0]])

    def field(x):
        return T.autograd.grad(energy(x).sum(), x, create_graph=True)[0] @ turn.t()

    optimizer = T.optim.Adam(energy.parameters(), 1e-2, weight_decay=1e-4)
    losses = []
    for _ in range(8):
        x = (T.rand(20, 2) * 2 - 1).requires_grad_()
        wanted = T.stack([x[:, 1], -T.sin(x[:, 0])], 1).detach()
        loss = (wanted - field(x)).pow(2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    x = T.tensor([[0.5, 0.0]], requires_grad=True)
    for _ in range(3):
        x = (x + 0.1 * field(x)).detach().requires_grad_()
    return losses, x, weights(energy)


# ===== Other ways to learn


def forward_forward(T):
    """Each layer has its own optimizer and loss, and hands on detached activations; labels are painted over the input in place."""
    nn = T.nn

    def painted(x, y):
        x_ = x.clone()
        x_[:, :4] *= 0.0
        x_[range(x.shape[0]), y] = x.max()
        return x_

    class Layer(nn.Linear):
        def __init__(self, *sizes):
            super().__init__(*sizes)
            self.optimizer = T.optim.Adam(self.parameters(), lr=0.03)

        def forward(self, x):
            direction = x / (x.norm(2, 1, keepdim=True) + 1e-4)
            return T.relu(T.mm(direction, self.weight.T) + self.bias.unsqueeze(0))

        def learn(self, good, bad):
            for _ in range(3):
                g, b = self.forward(good).pow(2).mean(1), self.forward(bad).pow(2).mean(1)
                loss = T.log(1 + T.exp(T.cat([-g + 2.0, b - 2.0]))).mean()
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
            return self.forward(good).detach(), self.forward(bad).detach(), loss.item()

    layers = [Layer(12, 20), Layer(20, 20)]
    x, y = T.rand(16, 12), T.randint(0, 4, (16,))
    losses = []
    for _ in range(3):
        good, bad = painted(x, y), painted(x, y[T.randperm(16)])
        for layer in layers:
            good, bad, loss = layer.learn(good, bad)
            losses.append(loss)
    goodness = []
    for label in range(4):
        h, total = painted(x, label), 0
        for layer in layers:
            h = layer(h)
            total = total + h.pow(2).mean(1)
        goodness.append(total.unsqueeze(1))
    return losses, T.cat(goodness, 1), [weights(layer) for layer in layers]


def graph_attention(T):
    """Attention over the edges of a dense graph, masked by its adjacency matrix; several heads."""
    nn, F = T.nn, T.nn.functional

    class Head(nn.Module):
        def __init__(self, inputs, outputs, concat):
            super().__init__()
            self.W, self.a = nn.Parameter(T.empty(size=(inputs, outputs))), nn.Parameter(T.empty(size=(2 * outputs, 1)))
            nn.init.xavier_uniform_(self.W.data, gain=1.414)
            nn.init.xavier_uniform_(self.a.data, gain=1.414)
            self.outputs, self.concat = outputs, concat

        def forward(self, h, adj):
            hidden = T.mm(h, self.W)
            one, other = hidden @ self.a[: self.outputs, :], hidden @ self.a[self.outputs :, :]
            e = F.leaky_relu(one + other.T, 0.2)
            attention = F.softmax(T.where(adj > 0, e, -9e15 * T.ones_like(e)), dim=1)
            out = F.dropout(attention, 0.2, training=self.training) @ hidden
            return F.elu(out) if self.concat else out

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.heads = [Head(6, 4, True) for _ in range(3)]
            for i, head in enumerate(self.heads):
                self.add_module(f"attention_{i}", head)
            self.out = Head(12, 3, False)

        def forward(self, x, adj):
            x = F.dropout(x, 0.2, training=self.training)
            x = T.cat([head(x, adj) for head in self.heads], dim=1)
            return F.log_softmax(F.elu(self.out(x, adj)), dim=1)

    n = 15
    features, labels = T.rand(n, 6), T.randint(0, 3, (n,))
    adj = (T.rand(n, n) < 0.3).float()
    adj = ((adj + adj.T + T.eye(n)) > 0).float()
    train, held = T.LongTensor(range(10)), T.LongTensor(range(10, n))
    net = Net()
    optimizer = T.optim.Adam(net.parameters(), lr=0.01, weight_decay=5e-4)
    record = []
    for _ in range(6):
        net.train()
        optimizer.zero_grad()
        output = net(features, adj)
        loss = F.nll_loss(output[train], labels[train])
        loss.backward()
        optimizer.step()
        net.eval()
        output = net(features, adj)
        right = output[held].max(1)[1].type_as(labels).eq(labels[held]).double().sum() / len(held)
        record.append([f"{loss.item():.3f}", loss.data.item(), right.item()])
    return record, weights(net)


def manual_backpropagation(T):
    """Every gradient of a small network worked out by hand, beside the ones that retain_grad keeps."""
    F = T.nn.functional
    g = T.Generator().manual_seed(2147483647)
    C, W1, b1 = T.randn((9, 4), generator=g), T.randn((8, 16), generator=g) * 0.3, T.randn(16, generator=g) * 0.1
    W2, b2 = T.randn((16, 9), generator=g) * 0.1, T.randn(9, generator=g) * 0.1
    gain, bias = T.randn((1, 16), generator=g) * 0.1 + 1.0, T.randn((1, 16), generator=g) * 0.1
    parameters = [C, W1, b1, W2, b2, gain, bias]
    for p in parameters:
        p.requires_grad = True
    n = 12
    X, Y = T.randint(0, 9, (n, 2), generator=g), T.randint(0, 9, (n,), generator=g)
    report = []
    for _ in range(3):
        emb = C[X]
        embcat = emb.view(emb.shape[0], -1)
        hpre = embcat @ W1 + b1
        mean = hpre.mean(0, keepdim=True)
        centred = hpre - mean
        var = 1 / (n - 1) * (centred**2).sum(0, keepdim=True)
        inverse = (var + 1e-5) ** -0.5
        raw = centred * inverse
        act = gain * raw + bias
        h = T.tanh(act)
        logits = h @ W2 + b2
        shifted = logits - logits.max(1, keepdim=True).values
        counts = shifted.exp()
        probs = counts * counts.sum(1, keepdims=True) ** -1
        loss = -probs.log()[range(n), Y].mean()
        for p in parameters:
            p.grad = None
        for t in (probs, logits, h, act, raw, inverse, var, hpre, embcat, emb):
            t.retain_grad()
        loss.backward()
        dlogits = F.softmax(logits, 1)
        dlogits[range(n), Y] -= 1
        dlogits /= n
        dh = dlogits @ W2.T
        dact = (1.0 - h**2) * dh
        dhpre = gain * inverse / n * (n * dact - dact.sum(0) - n / (n - 1) * raw * (dact * raw).sum(0))
        demb = (dhpre @ W1.T).view(emb.shape)
        dC = T.zeros_like(C)
        for k in range(X.shape[0]):
            for j in range(X.shape[1]):
                dC[X[k, j]] += demb[k, j]
        by_hand = [
            dC,
            embcat.T @ dhpre,
            dhpre.sum(0),
            h.T @ dlogits,
            dlogits.sum(0),
            (raw * dact).sum(0, keepdim=True),
            dact.sum(0, keepdim=True),
        ]
        kept = [(dlogits, logits), (dh, h), (dact, act), (dhpre, hpre), (demb, emb)]
        worst = max((mine - t.grad).abs().max().item() for mine, t in [*kept, *zip(by_hand, parameters)])  # noqa: B905
        report.append([loss.item(), T.allclose(dlogits, logits.grad, atol=1e-6), worst < 1e-5, probs.grad.abs().sum()])
        for p, grad in zip(parameters, by_hand):  # noqa: B905
            p.data += -0.1 * grad.detach()
    return report, [p.detach() for p in parameters]


PATTERNS = [
    gan_with_two_optimizers,
    wgan_with_gradient_penalty,
    seq2seq_with_assignment,
    encoder_decoder_transformer,
    language_model_that_writes,
    lbfgs_with_a_closure,
    hamiltonian_network,
    forward_forward,
    graph_attention,
    manual_backpropagation,
]
