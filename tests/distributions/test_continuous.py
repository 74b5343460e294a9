"""Gamma, beta, heavy-tailed, extreme, relaxed and mixed variables, and transforms, against PyTorch's."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import same  # noqa: E402

LOC, SCALE, SHAPE = [0.3, -1.2, 2.0], [0.5, 1.5, 1.0], [0.7, 2.5, 1.3]
TABLE = [[0.1, 0.6, 0.3], [0.5, 0.25, 0.25]]
POSITIVE, UNIT, REAL = [0.3, 1.0, 5.0], [0.2, 0.5, 0.9], [0.0, 1.0, -2.0]

#: name -> (class, parameters, values to score)
CASES = {
    "gamma": ("Gamma", {"concentration": SHAPE, "rate": SCALE}, POSITIVE),
    "chi2": ("Chi2", {"df": [1.0, 3.0, 6.5]}, POSITIVE),
    "inverse gamma": ("InverseGamma", {"concentration": [0.7, 2.5, 3.3], "rate": SCALE}, POSITIVE),
    "fisher": ("FisherSnedecor", {"df1": [2.0, 3.0, 5.0], "df2": [3.0, 6.0, 8.0]}, POSITIVE),
    "beta": ("Beta", {"concentration1": SHAPE, "concentration0": [1.2, 0.8, 3.0]}, UNIT),
    "dirichlet": ("Dirichlet", {"concentration": [[0.7, 2.5, 1.3], [1.5, 0.9, 3.0]]}, TABLE),
    "kumaraswamy": ("Kumaraswamy", {"concentration1": [1.7, 2.5, 1.3], "concentration0": [1.2, 1.8, 3.0]}, UNIT),
    "student": ("StudentT", {"df": [1.5, 3.0, 8.0], "loc": LOC, "scale": SCALE}, REAL),
    "cauchy": ("Cauchy", {"loc": LOC, "scale": SCALE}, REAL),
    "half cauchy": ("HalfCauchy", {"scale": SCALE}, POSITIVE),
    "half normal": ("HalfNormal", {"scale": SCALE}, POSITIVE),
    "pareto": ("Pareto", {"scale": [0.2, 0.9, 1.0], "alpha": [1.5, 3.0, 2.5]}, POSITIVE),
    "gumbel": ("Gumbel", {"loc": LOC, "scale": SCALE}, REAL),
    "weibull": ("Weibull", {"scale": SCALE, "concentration": [1.7, 2.5, 1.3]}, POSITIVE),
    "log normal": ("LogNormal", {"loc": LOC, "scale": SCALE}, POSITIVE),
    "logistic normal": ("LogisticNormal", {"loc": [[0.3, -1.2], [0.1, 0.4]], "scale": [[0.5, 1.5], [1.0, 0.7]]}, TABLE),
    "relaxed bernoulli": ("RelaxedBernoulli", {"temperature": 0.7, "probs": [0.2, 0.5, 0.9]}, UNIT),
    "relaxed bernoulli of logits": ("RelaxedBernoulli", {"temperature": 0.7, "logits": LOC}, UNIT),
    "relaxed one-hot": ("RelaxedOneHotCategorical", {"temperature": 0.7, "logits": [LOC, REAL]}, TABLE),
    "negative binomial": ("NegativeBinomial", {"total_count": [3.0, 1.0, 5.0], "probs": [0.2, 0.5, 0.7]}, [0.0, 3.0, 7.0]),
    "continuous bernoulli": ("ContinuousBernoulli", {"probs": UNIT}, [0.0, 0.4, 1.0]),
    "continuous bernoulli of logits": ("ContinuousBernoulli", {"logits": LOC}, UNIT),
    "von mises": ("VonMises", {"loc": LOC, "concentration": [0.5, 1.5, 4.0]}, REAL),
}
BETWEEN = ("continuous bernoulli", "continuous bernoulli of logits")
RELAXED = {"relaxed bernoulli", "relaxed bernoulli of logits", "relaxed one-hot"}
NO_ENTROPY = {"fisher", "logistic normal", "negative binomial", "von mises", *RELAXED}
NO_MOMENTS = {"logistic normal", *RELAXED}
QUANTILES = {"cauchy", "half cauchy", "half normal", "pareto", "gumbel", "weibull", "log normal", "kumaraswamy", *BETWEEN}
IMPLICIT = {"gamma", "chi2", "inverse gamma", "fisher", "beta", "dirichlet", "student"}


def made(T, case):
    name, arguments, value = CASES[case]
    fixed = {"total_count", "temperature"}
    given = {k: T.tensor(v, dtype=T.float64, requires_grad=k not in fixed) for k, v in arguments.items()}
    return getattr(T.distributions, name)(**given), given, T.tensor(value, dtype=T.float64)


def gradients(T, result, given):
    leaves = [v for v in given.values() if v.requires_grad]
    grads = T.autograd.grad(result.sum(), leaves, allow_unused=True) if result.requires_grad else [None] * len(leaves)
    return [None if g is None or not g.abs().sum() > 0 else g for g in grads]


@pytest.mark.parametrize("case", CASES)
def test_densities(case):
    def run(T):
        d, given, value = made(T, case)
        out = [repr(d.support), d.batch_shape, d.event_shape, d.has_rsample, d.log_prob(value)]
        out.append(gradients(T, out[-1], given))
        if case not in NO_ENTROPY:
            d, given, _ = made(T, case)
            out += [d.entropy(), gradients(T, d.entropy(), given)]
        return out

    same(run, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("case", [c for c in CASES if c not in NO_MOMENTS])
def test_moments(case):
    # PyTorch takes the logarithm of a negative number for the mode of the first, and has none for the others
    names = ["mean", "variance", "stddev", *([] if case in ("kumaraswamy", *BETWEEN) else ["mode"])]
    same(lambda T: [getattr(made(T, case)[0], n) for n in names], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_samples_come_from_the_same_stream(case):
    def run(T):
        d, _, _ = made(T, case)
        out = [d.sample(), d.sample((3,)), T.rand(2)]
        return [*out, d.rsample((2,)), T.rand(2)] if d.has_rsample else out

    same(run, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("case", [c for c in CASES if c not in ("negative binomial", "von mises")])
def test_samples_have_gradients(case):
    def run(T):
        d, given, _ = made(T, case)
        x = d.rsample((50,))
        weights = T.arange(1.0, x.shape[-1] + 1, dtype=x.dtype)
        return gradients(T, weights * (x.clamp(max=20.0) if case == "fisher" else x), given)

    # PyTorch approximates these derivatives by rational functions, good to about three digits
    same(run, rtol=1e-2 if case in IMPLICIT else 1e-5, atol=1e-3 if case in IMPLICIT else 1e-7)


@pytest.mark.parametrize("case", sorted(QUANTILES))
def test_quantiles(case):
    def run(T):
        d, _, value = made(T, case)
        return [d.cdf(value), d.icdf(T.tensor([0.1, 0.5, 0.95], dtype=T.float64))]

    same(run, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_expanded(case):
    def run(T):
        d, _, value = made(T, case)
        wide = d.expand((4, *d.batch_shape))
        return [type(wide) is type(d), wide.batch_shape, wide.event_shape, wide.log_prob(value), wide.sample((2,)).shape]

    same(run, rtol=1e-7, atol=1e-8)


def test_derivatives_of_draws_are_those_of_the_distribution_function():
    """At a fixed draw, shape parameter and draw move so that the distribution function stays: checked by nudging both."""
    from torchlike_asg.distributions.implicit import beta_derivative, gamma_derivative

    t = torch.float64
    for a, x in [(0.3, 0.05), (1.7, 4.0), (25.0, 22.0), (3.0, 0.2)]:
        slope, h = gamma_derivative(np.array([a]), np.array([x]))[0], 1e-5
        before = torch.special.gammainc(torch.tensor(a, dtype=t), torch.tensor(x, dtype=t))
        after = torch.special.gammainc(torch.tensor(a + h, dtype=t), torch.tensor(x + slope * h, dtype=t))
        assert abs(after - before).item() < 1e-9
    u = np.array([0.31])  # Beta(a, 1): x = u ** (1 / a)
    for a in (0.4, 2.0, 7.0):
        x = u ** (1 / a)
        np.testing.assert_allclose(beta_derivative(np.array([a]), np.array([1.0]), x), -x * np.log(u) / a**2, rtol=1e-6)


PAIRS = [("gamma", "gamma"), ("beta", "beta"), ("dirichlet", "dirichlet"), ("cauchy", "cauchy"), ("gumbel", "gumbel"),
         ("half normal", "half normal"), ("pareto", "pareto"), ("log normal", "log normal")]  # fmt: skip


@pytest.mark.parametrize("names", PAIRS)
def test_divergences(names):
    def run(T):
        (p, given, _), (q, _, _) = made(T, names[0]), made(T, names[1])
        moved = {k: v.detach() * 0.8 + 0.1 for k, v in made(T, names[1])[1].items()}
        q = getattr(T.distributions, CASES[names[1]][0])(**moved)
        kl = T.distributions.kl_divergence(p, q)
        return [kl, gradients(T, kl, given)]

    same(run, rtol=1e-7, atol=1e-8)


def test_divergences_between_types():
    def run(T):
        D = T.distributions
        g, e, n = D.Gamma(T.tensor(2.0), 1.5), D.Exponential(T.tensor(0.7)), D.Normal(T.tensor(0.5), 2.0)
        pairs = [(g, e), (e, g), (g, n), (e, n), (D.Laplace(T.tensor(0.3), 1.2), n)]
        return [D.kl_divergence(a, b) for a, b in pairs]

    same(run, rtol=1e-5)


def test_mixtures():
    def run(T):
        D = T.distributions
        mean = T.tensor([[0.0, 1.0, 3.0], [-1.0, 2.0, 0.5]], requires_grad=True)
        m = D.MixtureSameFamily(D.Categorical(T.tensor(TABLE)), D.Normal(mean, T.tensor([0.5, 1.0, 2.0])))
        lp = m.log_prob(T.tensor([0.3, 1.0]))
        lp.sum().backward()
        vectors = D.MixtureSameFamily(D.Categorical(logits=T.zeros(3)), D.Independent(D.Normal(T.arange(6.0).view(3, 2), T.ones(3, 2)), 1))
        return [repr(m), lp, mean.grad, m.mean, m.variance, m.sample((4,)), m.cdf(T.tensor([0.0, 1.0])), m.expand((5, 2)).batch_shape,
                vectors.sample((3,)), vectors.log_prob(T.ones(4, 2)), vectors.event_shape]  # fmt: skip

    same(run)


TRANSFORMS = {
    "exp": lambda D, T: D.ExpTransform(),
    "affine": lambda D, T: D.AffineTransform(T.tensor(0.5), T.tensor(-2.0)),
    "affine of vectors": lambda D, T: D.AffineTransform(0.5, 2.0, event_dim=1),
    "sigmoid": lambda D, T: D.SigmoidTransform(),
    "tanh": lambda D, T: D.TanhTransform(),
    "softplus": lambda D, T: D.SoftplusTransform(),
    "stick breaking": lambda D, T: D.StickBreakingTransform(),
    "composed": lambda D, T: D.ComposeTransform([D.AffineTransform(0.1, 2.0), D.TanhTransform(), D.AffineTransform(1.0, 0.5)]),
    "independent": lambda D, T: D.IndependentTransform(D.ExpTransform(), 1),
    "reshape": lambda D, T: D.ReshapeTransform((3,), (3, 1)),
    "inverse": lambda D, T: D.ExpTransform().inv.inv,
    "stacked": lambda D, T: D.StackTransform([D.ExpTransform(), D.TanhTransform(), D.identity_transform], dim=-1),
    "joined": lambda D, T: D.CatTransform([D.ExpTransform(), D.TanhTransform()], dim=-1, lengths=[1, 2]),
    "joined within an event": lambda D, T: D.CatTransform(
        [D.AffineTransform(0.0, 2.0, event_dim=1), D.AffineTransform(1.0, T.tensor([3.0, 0.5]), event_dim=1)], dim=1, lengths=[1, 2]
    ),
    "joined beside events": lambda D, T: D.CatTransform([D.IndependentTransform(D.ExpTransform(), 1), D.TanhTransform()], dim=0),
    "cdf": lambda D, T: D.CumulativeDistributionTransform(D.Normal(0.0, 1.0)),
}


@pytest.mark.parametrize("case", TRANSFORMS)
def test_transforms(case):
    def run(T):
        t = TRANSFORMS[case](T.distributions, T)
        x = T.tensor([[0.3, -0.6, 0.9], [1.2, 0.1, -0.2]])
        y = t(x)
        return [y, t.inv(y), t.log_abs_det_jacobian(x, y), t.bijective, t.forward_shape(x.shape), t.inv.forward_shape(y.shape),
                t.domain.event_dim, t.codomain.event_dim, t == TRANSFORMS[case](T.distributions, T) if case != "cdf" else None]  # fmt: skip

    same(run)


def test_the_support_of_a_class_is_a_constraint():
    for name in ("Uniform", "Independent", "Categorical", "Normal"):
        for T in (torch, ours):
            D = T.distributions
            assert isinstance(getattr(D, name).support, D.constraints.Constraint)
            assert D.constraints.is_dependent(getattr(D, name).support) == (name != "Normal")


def test_transformed_distributions():
    def run(T):
        D = T.distributions
        scale = T.tensor([1.0, 2.0], requires_grad=True)
        d = D.TransformedDistribution(D.Normal(T.zeros(2), scale), [D.TanhTransform(cache_size=1), D.AffineTransform(1.0, 3.0)])
        x = d.rsample((3,))
        lp = d.log_prob(x)
        lp.sum().backward()
        flow = D.TransformedDistribution(
            D.Independent(D.Normal(T.zeros(3), T.ones(3)), 1), [D.AffineTransform(T.ones(3), 2.0, event_dim=1)]
        )
        return [x, lp, scale.grad, d.cdf(x), d.icdf(T.tensor([0.2, 0.7])), d.batch_shape, flow.batch_shape, flow.event_shape,
                flow.log_prob(T.zeros(2, 3)), d.expand((4, 2)).sample().shape]  # fmt: skip

    same(run)


def test_a_cached_transform_returns_the_tensor_itself():
    for T in (torch, ours):
        t = T.distributions.TanhTransform(cache_size=1)
        x = T.tensor([0.3, 4.0])
        assert t.inv(t(x)) is x


@pytest.mark.parametrize("name", ["real", "positive", "unit_interval", "simplex", "lower_cholesky", "positive_definite"])
def test_regions_from_unconstrained_numbers(name):
    def run(T):
        D = T.distributions
        c = getattr(D.constraints, name)
        x = T.tensor([[0.3, -0.6], [1.2, 0.1]])
        found = [D.transform_to(c)(x), bool(c.check(D.transform_to(c)(x)).all())]
        return [*found, *([D.biject_to(c)(x)] if name in ("real", "positive", "unit_interval", "simplex") else [])]

    same(run)


ERRORS = {
    "gamma": lambda T, D: D.Gamma(-1.0, 1.0),
    "a scalar concentration": lambda T, D: D.Dirichlet(T.tensor(1.0)),
    "no simplex": lambda T, D: D.Dirichlet(T.ones(3)).log_prob(T.ones(3)),
    "below the scale": lambda T, D: D.Pareto(T.tensor(2.0), 1.0).log_prob(T.tensor(1.0)),
    "components": lambda T, D: D.MixtureSameFamily(D.Categorical(T.ones(3)), D.Normal(T.zeros(2), 1.0)),
    "no categorical": lambda T, D: D.MixtureSameFamily(D.Normal(0.0, 1.0), D.Normal(T.zeros(2), 1.0)),
    "no transform": lambda T, D: D.TransformedDistribution(D.Normal(0.0, 1.0), 3),
    "cache size": lambda T, D: D.ExpTransform(cache_size=2),
    "half of a negative": lambda T, D: D.HalfNormal(1.0).log_prob(T.tensor(-1.0)),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    found = []
    for T in (torch, ours):
        with pytest.raises((ValueError, NotImplementedError)) as error:
            ERRORS[case](T, T.distributions)
        found.append((error.type, str(error.value)))
    assert found[0] == found[1]


def test_numbers_are_no_values_of_half_cauchy():
    for lib in (torch, ours):
        half = lib.distributions.HalfCauchy(lib.ones(2))
        with pytest.raises(ValueError, match="must be a Tensor"):
            half.log_prob(3.0)
    assert "LogitRelaxedBernoulli" not in ours.distributions.__all__
