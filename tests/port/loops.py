"""The repeated steps of sixteen kinds of public scripts, in small: each function prepares one, runs it and yields after every step.

What PyTorch's scripts do between steps, such as evaluating, sampling or handing on a state, is part of the step here.
"""

import math

import numpy as np

from .language_loops import (
    bigrams,
    gpt_from_scratch,
    names_mlp,
    names_transformer,
    neural_probabilistic_language_model,
    selective_scan,
    truncated_backpropagation,
)  # fmt: skip


def two_layers_by_hand(T):
    x, y = T.randn(8, 12), T.randn(8, 3)
    w1, w2 = T.randn(12, 6), T.randn(6, 3)
    while True:
        h = x.mm(w1)
        relu = h.clamp(min=0)
        pred = relu.mm(w2)
        (pred - y).pow(2).sum().item()
        grad_pred = 2.0 * (pred - y)
        grad_w2 = relu.t().mm(grad_pred)
        grad_h = grad_pred.mm(w2.t()).clone()
        grad_h[h < 0] = 0
        w1 -= 1e-4 * x.t().mm(grad_h)
        w2 -= 1e-4 * grad_w2
        yield


def logistic_regression(T):
    xy = np.random.default_rng(0).random((20, 9)).astype(np.float32)
    x, y = T.from_numpy(xy[:, :-1]), T.from_numpy((xy[:, [-1]] > 0.5).astype(np.float32))
    model = T.nn.Sequential(T.nn.Linear(8, 6), T.nn.Sigmoid(), T.nn.Linear(6, 1), T.nn.Sigmoid())
    criterion, optimizer = T.nn.BCELoss(reduction="mean"), T.optim.SGD(model.parameters(), lr=0.1)
    while True:
        loss = criterion(model(x), y)
        f"{loss.item():.4f}"
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield


def optimizers_compared(T):
    x = T.unsqueeze(T.linspace(-1, 1, 64), dim=1)
    y = x.pow(2) + 0.1 * T.normal(T.zeros(*x.size()))
    loader = T.utils.data.DataLoader(T.utils.data.TensorDataset(x, y), batch_size=16, shuffle=True)
    nets = [T.nn.Sequential(T.nn.Linear(1, 5), T.nn.ReLU(), T.nn.Linear(5, 1)) for _ in range(4)]
    sgd, momentum, rmsprop, adam = [net.parameters() for net in nets]
    optimizers = [
        T.optim.SGD(sgd, lr=0.01),
        T.optim.SGD(momentum, lr=0.01, momentum=0.8),
        T.optim.RMSprop(rmsprop, lr=0.01, alpha=0.9),
        T.optim.Adam(adam, lr=0.01, betas=(0.9, 0.99)),
    ]
    history = [[] for _ in nets]
    while True:
        for b_x, b_y in loader:
            for net, optimizer, losses in zip(nets, optimizers, history, strict=True):
                loss = T.nn.functional.mse_loss(net(b_x), b_y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.data.numpy())
        yield


def bidirectional_lstm(T):
    lstm, head = T.nn.LSTM(input_size=7, hidden_size=3, bidirectional=True), T.nn.Linear(6, 7)
    optimizer, criterion = T.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.001), T.nn.CrossEntropyLoss()
    inputs, targets = T.eye(7)[T.randint(0, 7, (4, 5))], T.randint(0, 7, (4,))
    while True:
        optimizer.zero_grad()
        state = T.zeros(2, 4, 3), T.zeros(2, 4, 3)
        outputs, _ = lstm(inputs.transpose(0, 1), state)
        loss = criterion(head(outputs[-1]), targets)
        loss.item()
        loss.backward()
        optimizer.step()
        yield


def variational_autoencoder(T):
    F, nn = T.nn.functional, T.nn
    fc1, fc21, fc22, fc3, fc4 = nn.Linear(12, 6), nn.Linear(6, 2), nn.Linear(6, 2), nn.Linear(2, 6), nn.Linear(6, 12)
    model = nn.ModuleList([fc1, fc21, fc22, fc3, fc4])
    optimizer = T.optim.Adam(model.parameters(), lr=1e-3)

    def loss_of(x):
        h = F.relu(fc1(x))
        mu, logvar = fc21(h), fc22(h)
        z = mu + T.randn_like(logvar) * T.exp(0.5 * logvar)
        recon = T.sigmoid(fc4(F.relu(fc3(z))))
        bce = F.binary_cross_entropy(recon, x, reduction="sum")
        return bce - 0.5 * T.sum(1 + logvar - mu.pow(2) - logvar.exp()), z

    while True:
        model.train()
        train_loss = 0
        for _ in range(2):
            optimizer.zero_grad()
            loss, _ = loss_of(T.rand(4, 12))
            loss.backward()
            train_loss += loss.item()
            optimizer.step()
        model.eval()
        with T.no_grad():
            test_loss = sum(loss_of(T.rand(4, 12))[0].item() for _ in range(2))
            T.sigmoid(fc4(F.relu(fc3(T.randn(3, 2))))).cpu().view(3, 1, 3, 4).numpy()
        assert math.isfinite(train_loss + test_loss)
        yield


def temporal_convolutions(T):
    nn = T.nn

    class Block(nn.Module):
        def __init__(self, n_in, n_out, dilation):
            super().__init__()
            self.pad = 2 * dilation
            self.conv = nn.utils.weight_norm(nn.Conv1d(n_in, n_out, 3, padding=self.pad, dilation=dilation))
            self.down = nn.Conv1d(n_in, n_out, 1) if n_in != n_out else None

        def forward(self, x):
            out = T.relu(self.conv(x)[:, :, : -self.pad].contiguous())
            return T.relu(out + (x if self.down is None else self.down(x)))

    net, head = nn.Sequential(Block(2, 4, 1), Block(4, 4, 2)), nn.Linear(4, 1)
    optimizer = T.optim.Adam([*net.parameters(), *head.parameters()], lr=1e-3)
    X = T.rand(16, 2, 12)
    Y = T.zeros([16, 1])
    for i in range(16):
        Y[i, 0] = X[i, 0, 3] + X[i, 0, 7]
    while True:
        total = 0
        for i in range(0, 16, 8):
            x, y = X[i : i + 8], Y[i : i + 8]
            optimizer.zero_grad()
            loss = T.nn.functional.mse_loss(head(net(x)[:, :, -1]), y)
            loss.backward()
            T.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            total += loss.item()
        with T.no_grad():
            T.nn.functional.mse_loss(head(net(X)[:, :, -1]), Y).item()
        yield


def diffusion(T):
    betas = T.linspace(1e-4, 0.02, 8, dtype=T.float32)
    bars = T.cumprod(1.0 - betas, axis=0)
    model = T.nn.Sequential(T.nn.Linear(3, 6), T.nn.GELU(), T.nn.Linear(6, 2))
    optimizer = T.optim.AdamW(model.parameters(), lr=1e-3)
    data = T.randn(32, 2)
    while True:
        for i in range(2):
            batch = data[16 * i : 16 * i + 16]
            noise, t = T.randn(batch.shape), T.randint(0, 8, (16,)).long()
            noisy = (bars**0.5)[t].reshape(-1, 1) * batch + ((1 - bars) ** 0.5)[t].reshape(-1, 1) * noise
            loss = T.nn.functional.mse_loss(model(T.cat([noisy, t[:, None] / 8], dim=1)), noise)
            loss.backward()
            T.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            loss.detach().item()
        sample = T.randn(4, 2)
        for step in reversed(range(8)):
            t = T.from_numpy(np.repeat(step, 4)).long()
            with T.no_grad():
                residual = model(T.cat([sample, t[:, None] / 8], dim=1))
            sample = (sample - betas[t[0]] / (1 - bars[t[0]]) ** 0.5 * residual) / (1 - betas[t[0]]) ** 0.5
            if step > 0:
                sample = sample + betas[step] ** 0.5 * T.randn_like(sample)
        sample.numpy()
        yield


def actor_and_critic(T):
    F = T.nn.functional
    fc1, fc_pi, fc_v = T.nn.Linear(4, 8), T.nn.Linear(8, 2), T.nn.Linear(8, 1)
    model = T.nn.ModuleList([fc1, fc_pi, fc_v])
    optimizer = T.optim.Adam(model.parameters(), lr=5e-4)
    rng = np.random.default_rng(0)

    def policy(x, dim=0):
        return F.softmax(fc_pi(F.relu(fc1(x))), dim=dim)

    def value(x):
        return fc_v(F.relu(fc1(x)))

    while True:
        rows = []
        state = rng.random(4)
        for _ in range(6):
            prob = policy(T.from_numpy(state).float())
            action = T.distributions.Categorical(prob).sample().item()
            following = rng.random(4)
            rows.append((state, action, rng.random(), following, prob[action].item()))
            state = following
        s, a, r, s_prime, prob_a = zip(*rows, strict=True)
        s, s_prime = T.tensor(np.array(s), dtype=T.float), T.tensor(np.array(s_prime), dtype=T.float)
        a, r, prob_a = T.tensor([[x] for x in a]), T.tensor([[x] for x in r]), T.tensor([[x] for x in prob_a])
        for _ in range(2):
            target = r + 0.98 * value(s_prime)
            delta = (target - value(s)).detach().numpy()
            advantages, advantage = [], 0.0
            for d in delta[::-1]:
                advantage = 0.9 * advantage + d[0]
                advantages.append([advantage])
            advantages.reverse()
            advantage = T.tensor(advantages, dtype=T.float)
            ratio = T.exp(T.log(policy(s, dim=1).gather(1, a)) - T.log(prob_a))
            surrogate = T.min(ratio * advantage, T.clamp(ratio, 0.9, 1.1) * advantage)
            loss = -surrogate + F.smooth_l1_loss(value(s), target.detach())
            optimizer.zero_grad()
            loss.mean().backward()
            optimizer.step()
        yield


def vision_transformer(T):
    nn = T.nn
    to_patches = nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 8), nn.LayerNorm(8))
    y, x = T.meshgrid(T.arange(2), T.arange(2), indexing="ij")
    omega = 1.0 / (10000 ** (T.arange(2) / 1))
    y, x = y.flatten()[:, None] * omega[None, :], x.flatten()[:, None] * omega[None, :]
    positions = T.cat((x.sin(), x.cos(), y.sin(), y.cos()), dim=1).type(T.float32)
    norm, to_qkv, out, head = nn.LayerNorm(8), nn.Linear(8, 24, bias=False), nn.Linear(8, 8, bias=False), nn.Linear(8, 5)
    model = nn.ModuleList([to_patches, norm, to_qkv, out, head])
    optimizer, criterion = T.optim.Adam(model.parameters(), lr=1e-3), nn.CrossEntropyLoss()
    while True:
        images, labels = T.randn(3, 3, 4, 4), T.randint(0, 5, (3,))
        patches = images.reshape(3, 3, 2, 2, 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(3, 4, 12)
        z = to_patches(patches) + positions
        q, k, v = [t.reshape(3, 4, 2, 4).transpose(1, 2) for t in to_qkv(norm(z)).chunk(3, dim=-1)]
        scores = T.matmul(q, k.transpose(-1, -2)) * 4**-0.5
        z = z + out(T.matmul(nn.Softmax(dim=-1)(scores), v).transpose(1, 2).reshape(3, 4, 8))
        loss = criterion(head(z.mean(dim=1)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        yield


LOOPS = (
    two_layers_by_hand, logistic_regression, optimizers_compared, neural_probabilistic_language_model, bidirectional_lstm,
    variational_autoencoder, names_transformer, bigrams, gpt_from_scratch, names_mlp, temporal_convolutions, diffusion,
    truncated_backpropagation, actor_and_critic, selective_scan, vision_transformer,
)  # fmt: skip
