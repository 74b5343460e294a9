"""SparseAdam on embeddings, against PyTorch with its sparse gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

TABLE = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
BATCHES = [[0, 2, 2], [5, 0, 1], [2, 2, 2], [6, 5, 0]]


def train(lib, read_between=False, **options):
    layer = lib.nn.Embedding.from_pretrained(
        lib.from_numpy(TABLE.copy()), freeze=False, sparse=True, padding_idx=options.pop("padding", None)
    )
    optimizer = lib.optim.SparseAdam(layer.parameters(), **{"lr": 0.1, **options})
    seen = []
    for batch in BATCHES * 2:
        optimizer.zero_grad()
        loss = (layer(lib.tensor(batch)) - 0.5).square().sum()
        loss.backward()
        if read_between:
            seen.append(loss.item())
        optimizer.step()
        seen.append(layer.weight.detach().numpy().copy())
    (state,) = optimizer.state_dict()["state"].values()
    return seen, [float(state["step"]), state["exp_avg"].numpy(), state["exp_avg_sq"].numpy()]


@pytest.mark.parametrize(
    "options", [{}, {"maximize": True}, {"betas": (0.5, 0.7), "eps": 1e-3}, {"padding": 2}, {"read_between": True}], ids=str
)
def test_follows_pytorch(options):
    (seen, state), (want, want_state) = train(ours, **options), train(torch, **options)
    for a, b in zip([*seen, *state], [*want, *want_state], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_rows_without_a_gradient_stay():
    (seen, _) = train(ours)
    np.testing.assert_array_equal(seen[-1][[3, 4]], TABLE[[3, 4]])


@pytest.mark.parametrize("options", [{"lr": 0.0}, {"lr": -1.0}, {"eps": 0.0}, {"betas": (1.0, 0.9)}], ids=str)
def test_errors(options):
    errors = []
    for lib in (torch, ours):
        with pytest.raises(ValueError, match="Invalid") as caught:
            lib.optim.SparseAdam([lib.nn.Parameter(lib.ones(2))], **options)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


def test_sparse_parameters_are_refused():
    for lib in (torch, ours):
        with pytest.raises(ValueError, match=r"Sparse params at indices \[\[0, 0\]\]"):
            lib.optim.SparseAdam([lib.eye(2).to_sparse().requires_grad_()])


def test_sparse_adam_counts_in_integers():
    def run(lib):
        layer = lib.nn.Embedding.from_pretrained(lib.arange(6.0).view(3, 2), freeze=False, sparse=True)
        optimizer = lib.optim.SparseAdam(layer.parameters(), lr=0.1)
        counts = []
        for _ in range(3):
            optimizer.zero_grad()
            layer(lib.tensor([0, 2])).exp().sum().backward()
            optimizer.step()
            counts.append(optimizer.state[layer.weight]["step"])
        again = lib.optim.SparseAdam(layer.parameters(), lr=0.1)
        again.load_state_dict(optimizer.state_dict())
        again.zero_grad()
        layer(lib.tensor([1])).sum().backward()
        again.step()
        return counts, again.state_dict()["state"][0]["step"], [type(c) for c in counts], layer.weight.tolist()

    (*mine, weights), (*theirs, wanted) = run(ours), run(torch)
    assert mine == theirs and np.allclose(weights, wanted, rtol=1e-6)
