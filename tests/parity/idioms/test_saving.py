"""State dicts, whole modules and files exchanged with PyTorch."""

import io

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..scripts import mlp, regression, same  # noqa: E402


class TestSaving:
    def test_state_dicts(self):
        def run(T):
            model = mlp(T)
            optimizer = T.optim.Adam(model.parameters(), lr=0.1)
            x, y = regression(T)

            def step(m, o):
                o.zero_grad()
                loss = T.nn.functional.mse_loss(m(x), y)
                loss.backward()
                o.step()
                return loss.item()

            losses = [step(model, optimizer) for _ in range(3)]
            file = io.BytesIO()
            T.save({"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "best": T.tensor(losses[-1])}, file)
            file.seek(0)
            checkpoint = T.load(file, map_location="cpu")
            other = mlp(T)
            other_optimizer = T.optim.Adam(other.parameters(), lr=0.5)
            report = str(other.load_state_dict(checkpoint["model"]))
            other_optimizer.load_state_dict(checkpoint["optimizer"])
            more = [[step(m, o) for _ in range(2)] for m, o in ((model, optimizer), (other, other_optimizer))]
            assert more[0] == more[1]
            return losses, report, checkpoint["epoch"], checkpoint["best"], more

        same(run)

    def test_files_are_exchanged_with_pytorch(self, tmp_path):
        def make(T):
            return T.nn.Sequential(T.nn.Conv2d(1, 2, 3), T.nn.BatchNorm2d(2), T.nn.Flatten(), T.nn.Linear(8, 3))

        models = {T: make(T) for T in (torch, ours)}
        for writer, reader in ((ours, torch), (torch, ours)):
            path = str(tmp_path / f"{writer.__name__}.pt")
            writer.save(models[writer].state_dict(), path)
            read = reader.load(path, weights_only=True)
            fresh = make(reader)
            assert str(fresh.load_state_dict(read)) == "<All keys matched successfully>"
            x = np.linspace(-1, 1, 32, dtype=np.float32).reshape(2, 1, 4, 4)
            want, got = models[writer].eval()(writer.from_numpy(x)), fresh.eval()(reader.from_numpy(x))
            np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-5, atol=1e-6)

    def test_optimizer_state_is_exchanged_with_pytorch(self, tmp_path):
        def trained(T):
            T.manual_seed(1)
            model = mlp(T)
            optimizer = T.optim.Adam(model.parameters(), lr=0.1)
            return model, optimizer

        def step(T, model, optimizer):
            x, y = regression(T)
            optimizer.zero_grad()
            loss = T.nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.item()

        for writer, reader in ((ours, torch), (torch, ours)):
            path = tmp_path / f"{writer.__name__}.pt"
            model, optimizer = trained(writer)
            for _ in range(3):
                step(writer, model, optimizer)
            writer.save([model.state_dict(), optimizer.state_dict()], path)
            other, other_optimizer = trained(reader)
            weights, state = reader.load(path)
            other.load_state_dict(weights)
            other_optimizer.load_state_dict(state)
            want = [step(writer, model, optimizer) for _ in range(3)]
            got = [step(reader, other, other_optimizer) for _ in range(3)]
            np.testing.assert_allclose(got, want, rtol=1e-4)

    def test_whole_module(self):
        def run(T):
            model = mlp(T)
            x, _ = regression(T)
            file = io.BytesIO()
            T.save(model, file)
            file.seek(0)
            return model(x), T.load(file, weights_only=False)(x)

        same(run)
