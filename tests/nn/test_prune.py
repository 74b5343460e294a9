"""nn.utils.prune against PyTorch's."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch.nn.utils.prune")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import same  # noqa: E402


def net(T):
    T.manual_seed(0)
    return T.nn.Sequential(T.nn.Linear(4, 6), T.nn.ReLU(), T.nn.Linear(6, 3))


CASES = {
    "smallest": lambda T, p, m: p.l1_unstructured(m[0], "weight", 0.4),
    "a number of the smallest": lambda T, p, m: p.l1_unstructured(m[0], "bias", 3),
    "random": lambda T, p, m: p.random_unstructured(m[0], "weight", 0.3),
    "random rows": lambda T, p, m: p.random_structured(m[0], "weight", 2, dim=0),
    "smallest rows": lambda T, p, m: p.ln_structured(m[0], "weight", 0.5, n=2, dim=0),
    "smallest columns": lambda T, p, m: p.ln_structured(m[0], "weight", 1, n=1, dim=1),
    "identity": lambda T, p, m: p.identity(m[0], "weight"),
    "a mask": lambda T, p, m: p.custom_from_mask(m[0], "bias", T.tensor([1, 0, 1, 1, 0, 1])),
    "twice": lambda T, p, m: p.l1_unstructured(p.l1_unstructured(m[0], "weight", 0.4), "weight", 0.5),
    "rows, then elements": lambda T, p, m: p.l1_unstructured(p.ln_structured(m[0], "weight", 2, n=2, dim=0), "weight", 0.5),
    "elements, then rows": lambda T, p, m: p.ln_structured(p.l1_unstructured(m[0], "weight", 0.3), "weight", 2, n=2, dim=0),
    "scores": lambda T, p, m: p.l1_unstructured(m[0], "weight", 5, importance_scores=T.arange(24.0).view(6, 4)),
    "everywhere": lambda T, p, m: p.global_unstructured([(m[0], "weight"), (m[2], "weight")], p.L1Unstructured, amount=0.5),
}


@pytest.mark.parametrize("case", CASES)
def test_as_in_pytorch(case):
    def run(T):
        p, m = T.nn.utils.prune, net(T)
        CASES[case](T, p, m)
        x = T.linspace(-1, 1, 8).view(2, 4)
        loss = m(x).pow(2).sum()
        loss.backward()
        grads = [q.grad for q in m.parameters()]
        optimizer = T.optim.SGD(m.parameters(), 0.1)
        optimizer.step()
        after = m(x)
        state = dict(m.state_dict())
        for layer in (m[0], m[2]):
            for name in ("weight", "bias"):
                if hasattr(layer, name + "_orig"):
                    p.remove(layer, name)
        return [loss, grads, after, state, p.is_pruned(m), sorted(n for n, _ in m.named_parameters()), m(x)]

    same(run)


def test_a_tensor_alone():
    same(lambda T: [T.nn.utils.prune.L1Unstructured(2).prune(T.tensor([1.0, -3.0, 0.5, 2.0])), T.nn.utils.prune.is_pruned(net(T))])


MISTAKES = {
    "amount": lambda T, p: p.l1_unstructured(T.nn.Linear(2, 2), "weight", 1.5),
    "too many": lambda T, p: p.l1_unstructured(T.nn.Linear(2, 2), "weight", 9),
    "type": lambda T, p: p.random_unstructured(T.nn.Linear(2, 2), "weight", "all"),
    "one dimension": lambda T, p: p.random_structured(T.nn.Linear(2, 2), "bias", 1, 0),
    "not pruned": lambda T, p: p.remove(T.nn.Linear(2, 2), "weight"),
}


def test_a_method_of_the_users_own_asks_how_much_to_prune():
    def run(T):
        p, t = T.nn.utils.prune, T.arange(6.0).view(2, 3)
        for amount in (0, 3, 0.5):
            p._validate_pruning_amount_init(amount)
            p._validate_pruning_amount(amount, 6)
        with pytest.raises(ValueError, match="smaller than the number of parameters"):
            p._validate_pruning_amount(7, 6)
        p._validate_structured_pruning(t)
        p._validate_pruning_dim(t, 1)
        return [p._compute_nparams_toprune(0.4, 17), p._compute_nparams_toprune(4, 17), p._compute_norm(t, 2, 0), p._compute_norm(t, 1, -1)]

    same(run)


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case):
    found = []
    for T in (ours, torch):
        with pytest.raises((ValueError, TypeError, IndexError)) as caught:
            MISTAKES[case](T, T.nn.utils.prune)
        found.append((caught.type, str(caught.value)[:40]))
    assert found[0] == found[1]


def test_what_pruning_leaves_is_handed_out():
    def run(T):
        T.manual_seed(0)
        layer = T.nn.Linear(3, 2)
        T.nn.utils.prune.custom_from_mask(layer, "weight", T.eye(2, 3))
        T.nn.utils.prune.remove(layer, "weight")
        return T.from_numpy(layer.weight.detach().numpy())

    same(run)
