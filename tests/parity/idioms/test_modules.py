"""Modules as scripts use them: tied, copied, initialised, frozen, hooked, unrolled; the same numbers under PyTorch and here."""

import copy
import math

import pytest

torch = pytest.importorskip("torch")

from ..scripts import mlp, regression, same  # noqa: E402


class TestModules:
    def test_weight_tying(self):
        def run(T):
            class LM(T.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.wte = T.nn.Embedding(7, 5)
                    self.head = T.nn.Linear(5, 7, bias=False)
                    self.wte.weight = self.head.weight

                def forward(self, i):
                    return self.head(self.wte(i).mean(1))

            lm = LM()
            optimizer = T.optim.SGD(lm.parameters(), lr=0.5)
            i, y = T.tensor([[0, 1], [2, 2], [6, 3]]), T.tensor([1, 0, 5])
            losses = []
            for _ in range(4):
                optimizer.zero_grad()
                loss = T.nn.functional.cross_entropy(lm(i), y)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return losses, len(list(lm.parameters())), list(lm.state_dict()), lm.wte.weight is lm.head.weight, lm.wte.weight

        same(run)

    def test_deepcopy(self):
        def run(T):
            model = mlp(T)
            x, _ = regression(T)
            clones = T.nn.ModuleList([copy.deepcopy(model) for _ in range(2)])
            with T.no_grad():
                for p in model.parameters():
                    p.mul_(2)
            target = copy.deepcopy(model)
            for p, q in zip(target.parameters(), clones[1].parameters(), strict=True):
                p.data.copy_(0.9 * p.data + 0.1 * q.data)
            out = clones[0](x).sum() + clones[1](x).sum()
            out.backward()
            return out, model(x).sum(), target(x).sum(), [p.grad is None for p in model.parameters()], len(list(clones.parameters()))

        same(run)

    def test_initialisation_by_class(self):
        def run(T):
            nn = T.nn

            def weights_init(m):
                name = m.__class__.__name__
                if name.find("Conv") != -1:
                    m.weight.data.normal_(0.0, 0.02)
                elif name.find("BatchNorm") != -1:
                    m.weight.data.normal_(1.0, 0.02)
                    m.bias.data.fill_(0)
                elif isinstance(m, nn.Linear):
                    nn.init.xavier_uniform_(m.weight)
                    m.bias.data.zero_()

            net = nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.LeakyReLU(0.2, inplace=True), nn.MaxPool2d(2),
                nn.ConvTranspose2d(4, 2, 4, 2, 1, bias=False), nn.Flatten(), nn.Linear(128, 3),
            )  # fmt: skip
            net.apply(weights_init)
            for m in net.modules():
                if isinstance(m, (nn.Conv2d, nn.Linear)):
                    n = m.weight.size(0)
                    m.weight.data.mul_(math.sqrt(2.0 / n))
            out = net(T.linspace(-1, 1, 128).view(2, 1, 8, 8))
            out.pow(2).sum().backward()
            net.eval()
            return out, {k: v for k, v in net.state_dict().items()}, [p.grad for p in net.parameters()], net(T.ones(1, 1, 8, 8))

        same(run, rtol=2e-3, atol=2e-5)

    def test_freezing(self):
        def run(T):
            model = mlp(T)
            for p in model[0].parameters():
                p.requires_grad = False
            optimizer = T.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
            x, y = regression(T)
            for _ in range(3):
                optimizer.zero_grad()
                T.nn.functional.mse_loss(model(x), y).backward()
                optimizer.step()
            return [p.grad is None for p in model.parameters()], [p for p in model.parameters()]

        same(run)

    def test_module_hooks(self):
        def run(T):
            seen = []
            model = mlp(T)
            model[0].register_forward_hook(lambda m, i, o: seen.append(o.detach().clone()))
            model[2].register_forward_pre_hook(lambda m, i: (i[0] * 2,))
            model[1].register_full_backward_hook(lambda m, gi, go: seen.append(go[0].clone()))
            x, _ = regression(T, 3)
            model(x).sum().backward()
            return seen, [p.grad for p in model.parameters()]

        same(run)

    def test_lstm_cells_unrolled(self):
        def run(T):
            class Sequence(T.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.lstm1, self.lstm2 = T.nn.LSTMCell(1, 6), T.nn.LSTMCell(6, 6)
                    self.linear = T.nn.Linear(6, 1)

                def forward(self, input, future=0):
                    outputs = []
                    h_t, c_t = (T.zeros(input.size(0), 6, dtype=T.double) for _ in range(2))
                    h_t2, c_t2 = (T.zeros(input.size(0), 6, dtype=T.double) for _ in range(2))
                    for input_t in input.split(1, dim=1):
                        h_t, c_t = self.lstm1(input_t, (h_t, c_t))
                        h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                        output = self.linear(h_t2)
                        outputs += [output]
                    for _ in range(future):
                        h_t, c_t = self.lstm1(output, (h_t, c_t))
                        h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                        output = self.linear(h_t2)
                        outputs += [output]
                    return T.cat(outputs, dim=1)

            seq = Sequence()
            seq.double()
            data = T.sin(T.arange(36, dtype=T.double).view(3, 12) / 2)
            criterion = T.nn.MSELoss()
            optimizer = T.optim.LBFGS(seq.parameters(), lr=0.8, max_iter=4)
            losses = []

            def closure():
                optimizer.zero_grad()
                loss = criterion(seq(data[:, :-1]), data[:, 1:])
                losses.append(loss.item())
                loss.backward()
                return loss

            for _ in range(2):
                optimizer.step(closure)
            with T.no_grad():
                pred = seq(data[:, :-1], future=3)
            return losses, pred

        same(run, rtol=1e-4, atol=1e-6)

    def test_long_recurrence(self):
        def run(T):
            cell = T.nn.RNNCell(2, 3)
            h = T.zeros(1, 3)
            for i in range(400):  # several nodes each: deeper than Python's stack
                h = cell(T.full((1, 2), math.sin(i)), h)
            h.sum().backward()
            return h, [p.grad for p in cell.parameters()]

        same(run)

    def test_packed_sequences(self):
        def run(T):
            rnn = T.nn.utils.rnn
            lstm = T.nn.LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=True)
            x = T.linspace(-1, 1, 60).view(4, 5, 3)
            packed = rnn.pack_padded_sequence(x, T.tensor([5, 4, 2, 1]), batch_first=True)
            out, (h, c) = lstm(packed)
            padded, lengths = rnn.pad_packed_sequence(out, batch_first=True)
            padded.pow(2).sum().backward()
            return padded, lengths, h, c, [p.grad for p in lstm.parameters()]

        same(run)
