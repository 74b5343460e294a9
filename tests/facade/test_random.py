"""Random functions of the facade: PyTorch's streams, generators, and counter-based masks."""

import math

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.rng import philox

from .compare import same_error

torch = pytest.importorskip("torch")


def same(run, seeds=(0, 1, 42)):
    for seed in seeds:
        ours.manual_seed(seed)
        torch.manual_seed(seed)
        a, b = run(ours), run(torch)
        assert tuple(a.shape) == tuple(b.shape) and str(a.dtype) == str(b.dtype)
        assert np.array_equal(a.detach().float().numpy(), b.detach().float().numpy(), equal_nan=True)
        assert ours.get_rng_state().numpy().tobytes() == torch.get_rng_state().numpy().tobytes()


CALLS = {
    "rand": lambda T: T.rand(3, 17),
    "randn": lambda T: T.randn(100),
    "randn float64": lambda T: T.randn(5, 7, dtype=T.float64),
    "randn bfloat16": lambda T: T.randn(31, dtype=T.bfloat16),
    "randint": lambda T: T.randint(3, 1000, (15,)),
    "randint high": lambda T: T.randint(10, (4, 4)),
    "randperm": lambda T: T.randperm(100),
    "rand_like": lambda T: T.rand_like(T.zeros(4, 5).t()),
    "randn_like": lambda T: T.randn_like(T.zeros(40, 5).t()),
    "normal numbers": lambda T: T.normal(1.0, 2.0, (17,)),
    "normal tensors": lambda T: T.normal(T.arange(20.0), T.ones(20) * 0.5),
    "bernoulli": lambda T: T.bernoulli(T.full((50,), 0.3)),
    "bernoulli_": lambda T: T.empty(50).bernoulli_(0.7),
    "multinomial": lambda T: T.multinomial(T.tensor([[0.1, 0.2, 0.7], [0.5, 0.4, 0.1]]), 2),
    "multinomial replaced": lambda T: T.multinomial(T.tensor([0.1, 0.2, 0.7]), 50, replacement=True),
    "uniform_ strided": lambda T: T.zeros(6, 4).t().uniform_(-2, 3),
    "normal_ view": lambda T: T.zeros(20, 4)[:, 1].normal_(1, 0.1),
    "exponential_": lambda T: T.empty(33).exponential_(2.0),
    "cauchy_": lambda T: T.empty(33).cauchy_(),
    "log_normal_": lambda T: T.empty(33).log_normal_(),
    "geometric_": lambda T: T.empty(33).geometric_(0.3),
    "random_": lambda T: T.empty(33, dtype=T.int64).random_(),
    "random_ range": lambda T: T.empty(33).random_(5, 90),
    "dropout": lambda T: T.nn.functional.dropout(T.ones(100), 0.3),
    "dropout2d": lambda T: T.nn.functional.dropout2d(T.ones(3, 8, 4, 4), 0.5),
    "poisson": lambda T: T.poisson(T.full((40,), 4.0)),
}


@pytest.mark.parametrize("name", CALLS)
def test_draws_are_torchs_own(name):
    same(CALLS[name])


@pytest.mark.parametrize(
    "init", ["uniform_", "normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "trunc_normal_"]
)
def test_initialisers_are_torchs_own(init):
    same(lambda T: getattr(T.nn.init, init)(T.empty(30, 20)))


def test_generators_are_independent_and_restorable():
    g = ours.Generator().manual_seed(7)
    h = torch.Generator().manual_seed(7)
    assert np.array_equal(ours.randn(20, generator=g).numpy(), torch.randn(20, generator=h).numpy())
    state = g.get_state()
    assert state.numpy().tobytes() == h.get_state().numpy().tobytes()
    first = ours.rand(5, generator=g).tolist()
    g.set_state(state)
    assert ours.rand(5, generator=g).tolist() == first
    assert g.initial_seed() == 7


def test_fork_rng_restores_the_state():
    ours.manual_seed(1)
    a = ours.rand(3).tolist()
    ours.manual_seed(1)
    with ours.random.fork_rng():
        ours.rand(100)
    assert ours.rand(3).tolist() == a


def test_a_bad_state_is_refused_and_changes_nothing():
    before = ours.get_rng_state().tolist()
    with pytest.raises((RuntimeError, ValueError)):
        ours.set_rng_state(ours.zeros(10, dtype=ours.uint8))
    with pytest.raises(TypeError):
        ours.set_rng_state(ours.zeros(5056))
    assert ours.get_rng_state().tolist() == before


@pytest.fixture
def fused():
    ours.config.fused_random = True
    yield
    ours.config.fused_random = False


def test_fused_masks_are_deterministic_and_independent_of_flushes(fused):
    def run(read):
        ours.manual_seed(3)
        x = ours.ones(64)
        a = ours.nn.functional.dropout(x, 0.4)
        if read:
            a.tolist()
        b = ours.nn.functional.dropout(x, 0.4)
        return a.tolist(), b.tolist()

    first, second = run(False), run(True)
    assert first == second
    assert first[0] != first[1], "two masks of one step differ"
    ours.manual_seed(4)
    assert ours.nn.functional.dropout(ours.ones(64), 0.4).tolist() != first[0]


def test_fused_masks_have_the_right_rate_and_scale(fused):
    ours.manual_seed(0)
    y = ours.nn.functional.dropout(ours.ones(20_000), 0.25).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.01


def test_fused_masks_are_new_in_every_step_and_record_nothing_new(fused):
    ours.manual_seed(0)
    model = ours.nn.Sequential(ours.nn.Linear(8, 8), ours.nn.Dropout(0.5), ours.nn.Linear(8, 1))
    opt = ours.optim.SGD(model.parameters(), lr=0.0)
    x, losses, counts = ours.randn(4, 8), [], []
    for _ in range(6):
        opt.zero_grad()
        loss = model(x).pow(2).sum()
        loss.backward()
        opt.step()
        losses.append(loss.item())
        counts.append((ours.asg.stats()["nodes"], ours.asg.stats()["plans"]))
    assert len(set(losses)) == 6 and counts[2:] == [counts[2]] * 4


def _dropped(n, width):
    """Two masks in one step, forward and backward: what is dropped, and the gradient."""
    ours.manual_seed(11)
    w = ours.nn.Parameter(ours.ones(width, width) / width)
    x = (ours.arange(float(n * width)).reshape(n, width) / (n * width)).requires_grad_()
    hidden = ours.nn.functional.dropout(x @ w, 0.3)
    y = ours.nn.functional.dropout(hidden + x, 0.6).tanh()
    return x, w, hidden, y


def _gradients(n, width, read):
    x, w, hidden, y = _dropped(n, width)
    zeros = (hidden == 0).tolist() if read else None
    y.sum().backward()
    return zeros, y.detach().numpy(), x.grad.numpy(), w.grad.numpy()


@pytest.mark.parametrize("n, width", [(8, 16), (5, 7), (33, 31)])
def test_fused_masks_do_not_depend_on_fusion_threads_or_backend(fused, n, width):
    _, *plain = _gradients(n, width, False)
    zeros, *read = _gradients(n, width, True)
    assert 0.1 < np.mean(zeros) < 0.5
    for a, b in zip(plain, read, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    threads, chosen = ours.get_num_threads(), ours.config.backend
    try:
        ours.set_num_threads(1)
        _, *single = _gradients(n, width, False)
        ours.config.backend = "reference"
        _, *reference = _gradients(n, width, False)
    finally:
        ours.set_num_threads(threads)
        ours.config.backend = chosen
    for a, b, c in zip(plain, single, reference, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=1e-5, atol=1e-6)


def test_fused_masks_are_made_in_the_kernels_that_use_them_and_never_stored(fused):
    x, w = ours.randn(16, 32), ours.nn.Parameter(ours.randn(32, 32))

    def step():
        w.grad = None
        loss = (ours.nn.functional.dropout((x @ w).relu(), 0.3) @ w).pow(2).sum()
        loss.backward()
        return loss, w.grad

    text = str(ours.asg.explain(step, kernels=True)).split("=== compiled")[-1]
    assert text.count("= random [32, 1] + 0 of key") == 2, "one in the forward kernel, one in the backward kernel"
    for kernel in text.split("       = ")[1:]:
        if "= random" in kernel:
            assert kernel.startswith("matmul"), "as a part of the product's epilogue"
            assert kernel.count("store v") == 1, "the mask is not stored"


def test_dropout_of_random_shapes_and_types(fused):
    for shape in ((), (1,), (3, 0), (2, 1, 5), (4, 3, 9)):
        for d in (ours.float32, ours.float64, ours.bfloat16, ours.float16):
            ours.manual_seed(1)
            x = ours.ones(shape, dtype=d, requires_grad=True)
            y = ours.nn.functional.dropout(x, 0.25)
            y.sum().backward()
            assert y.dtype is d and x.grad.tolist() == y.tolist(), "the factors of both directions are the same"
            assert set(np.unique(y.detach().double().numpy())) <= {0.0, ours.tensor(1 / 0.75, dtype=d).item()}


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (3, 5), (128, 20)])
def test_fused_normals_are_philox_s(fused, shape):
    ours.manual_seed(4)
    x, y = ours.randn(shape), ours.empty(shape).normal_(2.0, 0.5)
    count = math.prod(shape)
    start = -(-count // 4) * 4
    np.testing.assert_allclose(x.numpy().reshape(-1), philox.normal(4, 0, count), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y.numpy().reshape(-1), philox.normal(4, start, count) * 0.5 + 2, rtol=1e-5, atol=1e-6)


def test_means_and_deviations_of_shapes_that_do_not_fit():
    same_error(lambda T: T.normal(T.ones(120), T.ones(2, 3, 4, 5)))
    same_error(lambda T: T.normal(T.ones(2, 3), T.ones(4)))


#: draws that depend on what they are given: PyTorch records a step for them whose gradients and tangents are 0
DEPENDING = {
    "bernoulli": lambda T, x: T.bernoulli(x),
    "bernoulli, as a method": lambda T, x: x.bernoulli(),
    "normal around": lambda T, x: T.normal(x, 1.0),
    "normal of deviations": lambda T, x: T.normal(0.0, std=x),
    "normal of both": lambda T, x: T.normal(x, x[:1]),
    "poisson": lambda T, x: T.poisson(x),
    "bernoulli_": lambda T, x: x.clone().bernoulli_(),
    "bernoulli_ of each": lambda T, x: x.clone().bernoulli_(x),
    "random_": lambda T, x: x.clone().random_(),
    "random_ up to": lambda T, x: x.clone().random_(5),
    "random_ between": lambda T, x: x.clone().random_(2, 5),
    "geometric_": lambda T, x: x.clone().geometric_(0.5),
    **{n: lambda T, x, n=n: getattr(x.clone(), n)() for n in ("uniform_", "normal_", "exponential_", "cauchy_", "log_normal_")},
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("draw", DEPENDING.values(), ids=DEPENDING)
def test_draws_in_histories(draw):
    found = []
    for T in (torch, ours):
        T.manual_seed(3)
        x, fw = T.tensor([0.2, 0.5, 0.9], requires_grad=True), T.autograd.forward_ad
        y = draw(T, x)
        gradient = T.autograd.grad((y * T.arange(3.0)).sum() + x.sum(), x)[0]
        with fw.dual_level():
            primal, tangent = fw.unpack_dual(draw(T, fw.make_dual(x.detach(), T.ones(3))))
            pair = primal.tolist(), tangent.tolist()
        pushed = [t.tolist() for t in T.func.jvp(lambda v, T=T: draw(T, v), (x.detach(),), (T.ones(3),))]
        with T.no_grad():
            plain = draw(T, x).requires_grad
        found.append((y.tolist(), y.requires_grad, type(y.grad_fn).__name__, gradient.tolist(), pair, pushed, plain))
    assert found[0] == found[1]
