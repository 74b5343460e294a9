"""Data sets, loaders with workers, ragged batches, NumPy spellings: the same numbers under PyTorch and here."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ..scripts import same, steady  # noqa: E402


class TestData:
    @staticmethod
    def loader(T, **options):
        x = T.arange(42.0).view(21, 2) / 42
        return T.utils.data.DataLoader(T.utils.data.TensorDataset(x, T.arange(21) % 3), batch_size=8, **options)

    def test_ragged_batches(self):
        def run(T):
            model = T.nn.Linear(2, 3)
            optimizer = T.optim.RMSprop(model.parameters(), lr=0.01)
            out = []
            for _ in range(3):
                for x, y in self.loader(T, shuffle=True):
                    optimizer.zero_grad()
                    loss = T.nn.functional.cross_entropy(model(x), y)
                    loss.backward()
                    optimizer.step()
                    out.append((len(x), loss.item()))
            return out

        same(run)

    def test_ragged_epochs_are_steady(self):
        def make(T):
            model = T.nn.Linear(2, 3)
            optimizer = T.optim.SGD(model.parameters(), lr=0.01)
            loader = self.loader(T, shuffle=True)

            def epoch():
                correct = 0
                for x, y in loader:
                    optimizer.zero_grad()
                    out = model(x)
                    T.nn.functional.cross_entropy(out, y).backward()
                    optimizer.step()
                    correct += (out.argmax(1) == y).sum().item()

            return epoch

        steady(make, warm=3)

    def test_workers(self):
        def run(T):
            return [(x, y) for x, y in self.loader(T, num_workers=2)]

        same(run)

    def test_datasets_of_arrays(self):
        def run(T):
            class Pairs(T.utils.data.Dataset):
                def __len__(self):
                    return 7

                def __getitem__(self, i):
                    return {"x": np.full(3, i, np.float32), "y": i, "name": f"n{i}"}

            train, test = T.utils.data.random_split(Pairs(), [5, 2])
            batches = list(T.utils.data.DataLoader(train, batch_size=2, shuffle=True, drop_last=True))
            return [(b["x"], b["y"], b["name"]) for b in batches], [test[i]["y"] for i in range(2)]

        same(run)

    def test_constructors_from_lists_of_arrays(self):
        def run(T):
            rows = [np.array([1, 2, 3]), np.array([4, 5, 6])]
            floats = [np.eye(3)[[0, 2]], np.eye(3)[[1, 1]]]
            return [
                T.LongTensor(np.array(rows)),
                T.LongTensor([list(r) for r in rows]),
                T.FloatTensor(np.array(floats)),
                T.Tensor([[1, 2], [3, 4]]),
                T.Tensor(2, 3).shape,
                T.LongTensor([3]),
                T.FloatTensor(2, 2).fill_(1),
                T.tensor(rows[0]),
                T.tensor(np.float32(2.5)),
                T.tensor([np.float64(1.5), 2]),
                T.ones(3) * np.float64(2.5),
                np.float32(2) * T.ones(2) + np.int64(3),
                T.tensor(3.0) / np.int64(2),
                T.from_numpy(np.array(floats)).float().sum((0, 1)),
                T.tensor([[True, False]]).long(),
                T.autograd.Variable(T.FloatTensor([1.0, 2.0]), requires_grad=True).requires_grad,
            ]

        same(run)

    def test_numpy_spellings(self):
        def run(T):
            x = T.arange(6.0).view(2, 3)
            return [
                x.sum(axis=1),
                x.mean(axis=0, keepdims=True),
                x.argmax(axis=1),
                x.std(axis=0),
                T.cumprod(x, axis=1),
                T.cat([x, x], axis=1),
            ]

        same(run)
