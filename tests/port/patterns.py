"""Training loops in the manner of public scripts, each a function of the library that returns the numbers a reader would look at."""

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
    lbfgs_with_a_closure,
    hamiltonian_network,
    forward_forward,
    graph_attention,
    manual_backpropagation,
]
