"""autograd.functional and forward_ad against PyTorch's."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import same  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")


def data(L):
    return L.randn(3), L.randn(4, 3)


def F(L):
    return L.autograd.functional


CASES = {
    "jacobian": lambda L, x, A: F(L).jacobian(lambda y: (A @ y).sin(), x),
    "jacobian of tuples": lambda L, x, A: F(L).jacobian(lambda a, y: (a @ y, y.sum()), (A, x)),
    "jacobian vectorized": lambda L, x, A: F(L).jacobian(lambda a, y: (a @ y, y.sum()), (A, x), vectorize=True),
    "jacobian forward": lambda L, x, A: F(L).jacobian(lambda y: (A @ y).sin(), x, vectorize=True, strategy="forward-mode"),
    "jacobian independent": lambda L, x, A: F(L).jacobian(lambda a, y: a.sum(0), (A, x)),
    "hessian": lambda L, x, A: F(L).hessian(lambda y: (A @ y).sin().sum(), x),
    "hessian of tuples": lambda L, x, A: F(L).hessian(lambda a, y: (a @ y).pow(3).sum(), (A, x)),
    "vjp": lambda L, x, A: F(L).vjp(lambda a, y: (a @ y).sin(), (A, x), L.ones(4)),
    "vjp of a scalar": lambda L, x, A: F(L).vjp(lambda y: y.pow(2).sum(), x),
    "jvp": lambda L, x, A: F(L).jvp(lambda a, y: ((a @ y).sin(), y), (A, x), (A * 2, x.cos())),
    "vhp": lambda L, x, A: F(L).vhp(lambda y: (A @ y).sin().sum(), x, x.cos()),
    "hvp": lambda L, x, A: F(L).hvp(lambda a, y: (a @ y).pow(3).sum(), (A, x), (A.sin(), x.cos())),
}


@pytest.mark.parametrize("case", CASES)
def test_as_in_pytorch(case):
    same(lambda L: CASES[case](L, *data(L)), rtol=2e-4, atol=1e-5)


def test_create_graph():
    def run(L):
        x, A = data(L)
        x.requires_grad_()
        plain = F(L).jacobian(lambda y: (A @ y).sin(), x)
        kept = F(L).jacobian(lambda y: (A @ y).sin(), x, create_graph=True)
        kept.pow(2).sum().backward()
        return [plain.requires_grad, kept.requires_grad, x.grad]

    same(run)


MISTAKES = {
    "strict, an output": (lambda L, x, A: F(L).vjp(lambda y: L.ones(2), x, L.ones(2), strict=True), "does not require gradients"),
    "strict, an input": (lambda L, x, A: F(L).vjp(lambda a, y: y * 2, (A, x), x, strict=True), "is independent of input 0"),
    "outer strategy and graph": (
        lambda L, x, A: F(L).hessian(lambda y: y.sin().sum(), x, create_graph=True, vectorize=True, outer_jacobian_strategy="forward-mode"),
        "are not supported together",
    ),
    "strict": (lambda L, x, A: F(L).jacobian(lambda a, y: a.sum(0), (A, x), strict=True), "independent of input 1"),
    "no tensor": (lambda L, x, A: F(L).jacobian(lambda y: y, 2.0), "must be either a Tensor or a tuple of Tensors"),
    "no scalar": (lambda L, x, A: F(L).hessian(lambda y: y, x), "single element"),
    "v missing": (lambda L, x, A: F(L).vjp(lambda y: y, x), "v can only be None"),
    "v of another shape": (lambda L, x, A: F(L).vjp(lambda y: y, x, A), "invalid size"),
    "strict, once more": (lambda L, x, A: F(L).jacobian(lambda y: y * 2, x, strict=True, create_graph=True), "is independent of input 0"),
    "strict at once": (lambda L, x, A: F(L).jacobian(lambda y: y, x, strict=True, vectorize=True), "are not supported together"),
    "forward one by one": (lambda L, x, A: F(L).jacobian(lambda y: y, x, strategy="forward-mode"), "implemented for `vectorize=True`"),
    "outer strategy": (lambda L, x, A: F(L).hessian(lambda y: y.sum(), x, outer_jacobian_strategy="x"), "Expected strategy to be either"),
    "strategy": (lambda L, x, A: F(L).jacobian(lambda y: y, x, strategy="sideways"), "Expected strategy to be either"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case):
    run, words = MISTAKES[case]
    kinds = []
    for L in (ours, torch):
        with pytest.raises((RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError)) as caught:
            run(L, *data(L))
        kinds.append(caught.type)
        assert words in str(caught.value), str(caught.value)
    assert kinds[0] is kinds[1]


def test_dual_numbers():
    def run(L):
        fw = L.autograd.forward_ad
        x, A = data(L)
        with fw.dual_level():
            d = fw.make_dual(x, x.cos())
            y = (A @ d).sin()
            p, t = fw.unpack_dual(y)
            none = fw.unpack_dual(A).tangent
            parts = [p.clone(), t.clone(), fw.unpack_dual(d).tangent.clone(), none is None]
            square, direction = A @ A.t(), (A @ A.t()).sin()
            # the direction itself, unless its layout is another
            duals = fw.make_dual(square, direction), fw.make_dual(square, direction.t())
            parts += [*[fw.unpack_dual(dual).tangent is direction for dual in duals], fw.unpack_dual(duals[1] * 2).tangent.clone()]
        return [*parts, fw.unpack_dual(y).tangent is None]

    same(run)


def test_dual_numbers_need_a_level():
    for L in (ours, torch):
        with pytest.raises(RuntimeError, match="level"):
            L.autograd.forward_ad.make_dual(L.ones(2), L.ones(2))


@pytest.mark.parametrize("name", ["jacobian", "hessian", "vjp", "jvp", "vhp", "hvp"])
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_results_have_a_history_with_create_graph_and_without_it_none(name, create_graph, requires_grad):
    def run(T):
        x = T.full((2,), 3.0, requires_grad=requires_grad)
        function = (lambda a: a**3) if name in ("jacobian", "jvp") else (lambda a: (a**3).sum())
        vector = () if name in ("jacobian", "hessian") else (T.ones(()) if name == "vjp" else T.ones(2),)
        found = getattr(T.autograd.functional, name)(function, x, *vector, create_graph=create_graph)
        return [t.requires_grad for t in (found if isinstance(found, tuple) else (found,))], x.requires_grad

    assert run(ours) == run(torch)


def test_strict_wants_no_output_to_depend_on_every_input():
    def run(L):
        x, _ = data(L)
        f, v = lambda a, b: (a * b, a.sum()), (x, L.tensor(2.0))
        product, power = F(L), lambda a, b: (a * b**2).sum()
        return [
            product.vjp(f, (x, x.cos()), v, strict=True),
            product.jvp(f, (x, x.cos()), (x, x), strict=True),
            product.hvp(power, (x, x.cos()), (x, x), strict=True),
        ]

    same(run, rtol=1e-4)
