"""Samples, densities, entropies and divergences against PyTorch's, with gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import same, steady  # noqa: E402

SHIFTS = [0.3, -1.2, 2.0, 0.0]
SCALES = [0.5, 1.5, 1.0, 2.0]
PROBS = [0.2, 0.7, 0.5, 0.9]
TABLE = [[0.1, 0.6, 0.3], [0.5, 0.25, 0.25]]
LOGITS = [[0.3, -1.0, 2.0], [0.0, 0.5, -0.5]]
TRIL = [[1.0, 0.0, 0.0], [0.5, 1.2, 0.0], [-0.3, 0.4, 0.8]]

#: name -> (class, constructor arguments by name, values to score)
CASES = {
    "normal": ("Normal", {"loc": SHIFTS, "scale": SCALES}, [0.0, 1.0, -2.0, 5.0]),
    "uniform": ("Uniform", {"low": SHIFTS, "high": [1.0, 0.0, 3.0, 4.0]}, [0.5, -0.5, 2.0, 4.0]),
    "exponential": ("Exponential", {"rate": SCALES}, [0.0, 1.0, 0.3, 5.0]),
    "laplace": ("Laplace", {"loc": SHIFTS, "scale": SCALES}, [0.0, 1.0, -2.0, 5.0]),
    "bernoulli": ("Bernoulli", {"probs": PROBS}, [0.0, 1.0, 1.0, 0.0]),
    "bernoulli of logits": ("Bernoulli", {"logits": SHIFTS}, [0.0, 1.0, 1.0, 0.0]),
    "geometric": ("Geometric", {"probs": PROBS}, [0.0, 3.0, 1.0, 2.0]),
    "poisson": ("Poisson", {"rate": SCALES}, [0.0, 3.0, 1.0, 2.0]),
    "binomial": ("Binomial", {"total_count": [5.0] * 4, "probs": PROBS}, [0.0, 3.0, 5.0, 2.0]),
    "categorical": ("Categorical", {"probs": TABLE}, [2, 0]),
    "categorical of logits": ("Categorical", {"logits": LOGITS}, [1, 2]),
    "one-hot": ("OneHotCategorical", {"logits": LOGITS}, [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
    "straight-through": ("OneHotCategoricalStraightThrough", {"probs": TABLE}, [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
    "multinomial": ("Multinomial", {"probs": TABLE}, [[1.0, 2.0, 1.0], [4.0, 0.0, 0.0]]),
    "multivariate": ("MultivariateNormal", {"loc": SHIFTS[:3], "scale_tril": TRIL}, [[0.0, 1.0, -1.0], [0.5, 0.5, 2.0]]),
}
KINDS = {"float32": {"rtol": 2e-5, "atol": 1e-5}, "float64": {"rtol": 1e-9, "atol": 1e-9}}


def made(T, case, dtype="float32", **options):
    name, arguments, value = CASES[case]
    d = getattr(T, dtype)
    given = {k: T.tensor(v, dtype=d, requires_grad=k != "total_count") for k, v in arguments.items()}
    if name == "Multinomial":
        options["total_count"] = 4
    value = T.tensor(value)
    return getattr(T.distributions, name)(**given, **options), given, value if value.dtype is T.int64 else value.to(d)


def gradients(T, result, given):
    leaves = [v for v in given.values() if v.requires_grad]
    grads = T.autograd.grad(result.sum(), leaves, allow_unused=True) if result.requires_grad else [None] * len(leaves)
    return [None if g is None or not g.abs().sum() > 0 else g for g in grads]


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_densities(case, dtype):
    def run(T):
        d, given, value = made(T, case, dtype)
        out = [repr(d), type(d.support).__name__, d.batch_shape, d.event_shape, d.log_prob(value)]
        out.append(gradients(T, out[-1], given))
        for name in ("entropy", "perplexity"):
            if case != "poisson":
                d, given, _ = made(T, case, dtype)
                out += [getattr(d, name)(), gradients(T, getattr(d, name)(), given)]
        return out

    same(run, **(dict(rtol=1e-7) if case == "multinomial" else KINDS[dtype]))


@pytest.mark.parametrize("case", CASES)
def test_moments(case):
    def run(T):
        d, _, _ = made(T, case)
        names = ["mean", "variance", "stddev", *(["mode"] if case != "multinomial" else [])]
        names += [n for n in ("probs", "logits", "param_shape") if hasattr(d, n)]
        names += ["covariance_matrix", "precision_matrix"] if case == "multivariate" else []
        return [getattr(d, n) for n in names]

    same(run, rtol=1e-4)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_samples_come_from_the_same_stream(case, dtype):
    def run(T):
        d, given, _ = made(T, case, dtype)
        out = [d.sample(), d.sample((3,)), d.sample((2, 5)), d.has_rsample, d.sample().requires_grad, T.rand(3)]
        if d.has_rsample:
            x = d.rsample((3,))
            weights = T.arange(float(x.numel()), dtype=x.dtype).view(x.shape)
            out += [x, gradients(T, x * weights, given)]
        return out

    same(run, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_expanded(case):
    def run(T):
        d, _, value = made(T, case)
        wide = d.expand((6, *d.batch_shape))
        scored = wide.log_prob(value[0] if case == "multivariate" else value)
        return [type(wide) is type(d), wide.batch_shape, wide.event_shape, repr(wide), scored, wide.sample((2,)), wide.mean]

    same(run, rtol=1e-4)


@pytest.mark.parametrize("case", ["normal", "uniform", "exponential", "laplace"])
def test_quantiles(case):
    def run(T):
        d, _, value = made(T, case)
        q = T.tensor([0.1, 0.5, 0.8, 0.99])
        return d.cdf(value), d.icdf(q), d.cdf(d.icdf(q)) if case != "uniform" else None

    same(run, rtol=1e-4)


@pytest.mark.parametrize("case", ["bernoulli", "binomial", "categorical", "one-hot"])
def test_enumerated(case):
    def run(T):
        d, _, _ = made(T, case)
        return d.enumerate_support(), d.enumerate_support(expand=False), d.has_enumerate_support

    same(run)


PAIRS = [
    "normal",
    "laplace",
    "exponential",
    "uniform",
    "bernoulli",
    "binomial",
    "poisson",
    "geometric",
    "categorical",
    "one-hot",
    "multivariate",
]


def other(T, case, dtype):
    """A second distribution of the type, with parameters of its own."""
    name, arguments, _ = CASES[case]
    moved = {
        "loc": lambda v: v * 0.5 + 0.1,
        "scale": lambda v: v + 0.3,
        "rate": lambda v: v + 0.3,
        "low": lambda v: v - 1.0,
        "high": lambda v: v + 0.5,
    }
    moved |= {"probs": lambda v: v * 0.5 + 0.1, "logits": lambda v: v * 0.5, "scale_tril": lambda v: v * 1.3, "total_count": lambda v: v}
    return getattr(T.distributions, name)(**{k: moved[k](T.tensor(v, dtype=getattr(T, dtype))) for k, v in arguments.items()})


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("case", PAIRS)
def test_divergences(case, dtype):
    def run(T):
        p, given, _ = made(T, case, dtype)
        kl = T.distributions.kl_divergence(p, other(T, case, dtype))
        return kl, gradients(T, kl, given)

    same(run, **KINDS[dtype])


@pytest.mark.parametrize("case", ["normal", "bernoulli", "categorical", "multivariate", "poisson"])
def test_divergence_is_the_expected_difference_of_log_densities(case):
    ours.manual_seed(3)
    p, q = made(ours, case, "float64")[0], other(ours, case, "float64")
    x = p.sample((40_000,))
    estimate = (p.log_prob(x) - q.log_prob(x)).mean(0)
    np.testing.assert_allclose(ours.distributions.kl_divergence(p, q).detach().numpy(), estimate.detach().numpy(), atol=0.05)


@pytest.mark.parametrize("names", [("normal", "uniform"), ("laplace", "exponential"), ("exponential", "uniform"), ("uniform", "normal")])
def test_divergences_between_types(names):
    same(lambda T: T.distributions.kl_divergence(made(T, names[0])[0], made(T, names[1])[0]), rtol=1e-4)


def test_divergences_of_edge_probabilities():
    def run(T):
        D, edge, inner = T.distributions, T.tensor([0.0, 1.0, 0.0, 0.4]), T.tensor([0.3, 0.3, 0.0, 1.0])
        table, holes = T.tensor([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6]]), T.tensor([[0.5, 0.25, 0.25], [0.5, 0.5, 0.0]])
        return (
            D.kl_divergence(D.Bernoulli(edge), D.Bernoulli(inner)),
            D.kl_divergence(D.Categorical(table), D.Categorical(holes)),
            D.kl_divergence(D.Uniform(0.0, 1.0), D.Uniform(T.tensor([-1.0, 0.5]), T.tensor([2.0, 2.0]))),
        )

    same(run, rtol=1e-4)


def test_a_divergence_without_formula_and_one_registered():
    D = ours.distributions
    normal, flip = D.Normal(0.0, 1.0), D.Bernoulli(0.5)
    with pytest.raises(NotImplementedError, match="p type Normal and q type Bernoulli"):
        D.kl_divergence(normal, flip)

    class Mine(D.Normal):
        pass

    @D.register_kl(Mine, D.Bernoulli)
    def divergence(p, q):
        return p.loc + 42

    assert D.kl_divergence(Mine(0.0, 1.0), flip).item() == 42
    assert D.kl_divergence(Mine(0.0, 1.0), normal).item() == 0  # the nearest base class
    with pytest.raises(TypeError, match="Distribution subclass"):
        D.register_kl(3, D.Normal)


@pytest.mark.parametrize("form", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_forms_of_a_covariance(form):
    def run(T):
        tril = T.tensor(TRIL, dtype=T.float64)
        covariance = tril @ tril.mT
        matrix = {"covariance_matrix": covariance, "precision_matrix": T.linalg.inv(covariance), "scale_tril": tril}[form]
        d = T.distributions.MultivariateNormal(T.zeros(2, 3, dtype=T.float64), **{form: matrix})
        return [
            d.scale_tril,
            d.covariance_matrix,
            d.precision_matrix,
            d.sample((2,)),
            d.log_prob(T.ones(2, 3, dtype=T.float64)),
            d.entropy(),
        ]

    same(run, rtol=1e-8, atol=1e-8)


def test_independent():
    def run(T):
        D = T.distributions
        loc = T.tensor([SHIFTS, SCALES], requires_grad=True)
        d = D.Independent(D.Normal(loc, T.ones(2, 4)), 1)
        x = d.rsample((3,))
        lp = d.log_prob(x.detach())
        lp.sum().backward()
        flat = D.Independent(D.Bernoulli(T.tensor(PROBS)), 1)
        kl = D.kl_divergence(d, D.Independent(D.Normal(T.zeros(2, 4), 2.0), 1))
        return [repr(d), repr(d.support), d.batch_shape, d.event_shape, x, lp, loc.grad, d.entropy(), d.mean, d.variance, d.mode, kl,
                d.expand((5, 2)).sample().shape, d.has_rsample, flat.has_rsample, flat.sample((2,)),
                flat.has_enumerate_support]  # fmt: skip

    same(run)


ERRORS = {
    "a negative scale": lambda T, D: D.Normal(0.0, -1.0),
    "a probability above one": lambda T, D: D.Bernoulli(1.5),
    "both parameters": lambda T, D: D.Bernoulli(0.3, 0.5),
    "no parameter": lambda T, D: D.Categorical(),
    "a scalar table": lambda T, D: D.Categorical(T.tensor(1.0)),
    "negative weights": lambda T, D: D.Categorical(T.tensor([[0.5, 0.7, -0.1]])),
    "nan logits": lambda T, D: D.Categorical(logits=T.tensor([float("nan"), 1.0])),
    "an empty interval": lambda T, D: D.Uniform(1.0, 0.0),
    "a rate of zero": lambda T, D: D.Exponential(0.0),
    "a probability of zero": lambda T, D: D.Geometric(T.tensor([0.0])),
    "a negative rate": lambda T, D: D.Poisson(-1.0),
    "a singular covariance": lambda T, D: D.MultivariateNormal(T.zeros(2), T.ones(2, 2)),
    "an asymmetric covariance": lambda T, D: D.MultivariateNormal(T.zeros(2), T.tensor([[1.0, 0.5], [0.0, 1.0]])),
    "an upper factor": lambda T, D: D.MultivariateNormal(T.zeros(2), scale_tril=T.tensor([[1.0, 0.5], [0.0, 1.0]])),
    "no covariance": lambda T, D: D.MultivariateNormal(T.zeros(2)),
    "a flat covariance": lambda T, D: D.MultivariateNormal(T.zeros(2), T.ones(2)),
    "not a number": lambda T, D: D.Normal(T.zeros(2), "a"),
    "many counts": lambda T, D: D.Multinomial(T.tensor(3), T.ones(3)),
    "too many dimensions": lambda T, D: D.Independent(D.Normal(T.zeros(2), 1.0), 2),
    "scoring a number": lambda T, D: D.Normal(0.0, 1.0).log_prob(1.0),
    "scoring nan": lambda T, D: D.Normal(0.0, 1.0).log_prob(T.tensor(float("nan"))),
    "scoring no category": lambda T, D: D.Categorical(T.ones(2, 3)).log_prob(T.tensor([5, 1])),
    "scoring another batch": lambda T, D: D.Categorical(T.ones(2, 3)).log_prob(T.tensor([1, 1, 0])),
    "scoring another event": lambda T, D: D.MultivariateNormal(T.zeros(2), T.eye(2)).log_prob(T.zeros(3)),
    "scoring half a success": lambda T, D: D.Bernoulli(0.5).log_prob(T.tensor(0.5)),
    "scoring outside": lambda T, D: D.Uniform(0.0, 1.0).log_prob(T.tensor(2.0)),
    "no path": lambda T, D: D.Categorical(T.ones(3)).rsample(),
    "dependent": lambda T, D: D.constraints.dependent.check(T.ones(1)),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    found = []
    for T in (torch, ours):
        with pytest.raises((ValueError, NotImplementedError)) as error:
            ERRORS[case](T, T.distributions)
        found.append((error.type, str(error.value)))
    assert found[0] == found[1]


def test_checks_can_be_turned_off():
    for T in (torch, ours):
        D = T.distributions
        assert D.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
        before = D.Distribution._validate_args
        D.Distribution.set_default_validate_args(False)
        try:
            assert D.Bernoulli(0.5).log_prob(T.tensor(0.5)).isfinite()
        finally:
            D.Distribution.set_default_validate_args(before)
        with pytest.raises(ValueError, match="constraint"):
            D.Normal(0.0, -1.0)


def test_a_subclass_with_another_constructor_must_expand_itself():
    for T in (torch, ours):

        class Centred(T.distributions.Normal):
            def __init__(self, scale):
                super().__init__(0.0, scale)

        with pytest.raises(NotImplementedError, match=r"must also define a custom \.expand"):
            Centred(1.0).expand((2,))


def test_what_is_missing_says_so():
    with pytest.raises(NotImplementedError, match=r"distributions.Zipf is not implemented"):
        ours.distributions.Zipf  # noqa: B018
    assert not hasattr(ours.distributions, "Zipf")


def reinforce(T):
    """A gaussian and a categorical policy, scored by samples, with an entropy bonus."""
    D = T.distributions
    body, mean, choice = T.nn.Linear(3, 8), T.nn.Linear(8, 2), T.nn.Linear(8, 4)
    log_std = T.nn.Parameter(T.zeros(2))
    params = [*body.parameters(), *mean.parameters(), *choice.parameters(), log_std]
    optimizer = T.optim.Adam(params, lr=0.01)
    state = T.linspace(-1, 1, 15).view(5, 3)

    def step():
        h = body(state).tanh()
        move, pick = D.Normal(mean(h), log_std.exp()), D.Categorical(logits=choice(h))
        a, b = move.sample(), pick.sample()
        reward = -(a**2).sum(1) + (b == 2).float()
        logp = move.log_prob(a).sum(-1) + pick.log_prob(b)
        loss = -(logp * reward).mean() - 0.01 * (move.entropy().sum(-1) + pick.entropy()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item(), reward.mean().item()

    return step


def test_policy_gradients():
    def run(T):
        step = reinforce(T)
        return [step() for _ in range(6)]

    same(run, rtol=1e-3, atol=1e-4)


def test_policy_gradients_are_steady():
    steady(reinforce, warm=4)


def test_variational_autoencoder():
    def make(T):
        D = T.distributions
        encode, decode = T.nn.Linear(6, 4), T.nn.Linear(2, 6)
        optimizer = T.optim.Adam([*encode.parameters(), *decode.parameters()], lr=0.05)
        x = (T.linspace(0, 30, 48).sin() > 0).float().view(8, 6)

        def step():
            loc, log_scale = encode(x).chunk(2, -1)
            q = D.Independent(D.Normal(loc, log_scale.exp()), 1)
            z = q.rsample()
            p = D.Independent(D.Bernoulli(logits=decode(z)), 1)
            kl = D.kl_divergence(q, D.Independent(D.Normal(T.zeros(2), T.ones(2)), 1))
            loss = (kl - p.log_prob(x)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    def run(T):
        step = make(T)
        return [step() for _ in range(6)]

    same(run, rtol=1e-3, atol=1e-4)
    steady(make, warm=4)


@pytest.mark.parametrize("make", [lambda D, T: D.VonMises(T.zeros(2), T.ones(2)), lambda D, T: D.Normal(T.zeros(2), T.ones(2))])
def test_expand_to_a_size_of_minus_one(make):
    shapes = [tuple(make(D, T).expand((3, -1)).batch_shape) for D, T in ((torch.distributions, torch), (ours.distributions, ours))]
    assert shapes[0] == shapes[1]
