"""torch.func against PyTorch's: derivatives, vmap, and both of each other."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import new_work, same  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"), pytest.mark.filterwarnings("ignore:Attempted to")]


def data(L):
    return L.randn(5), L.randn(4, 5)


CASES = {
    "grad": lambda L, x, A: L.func.grad(lambda y: (y**2).sum() * y.prod())(x),
    "second derivative": lambda L, x, A: L.func.grad(L.func.grad(L.sin))(x[0]),
    "third derivative": lambda L, x, A: L.func.grad(L.func.grad(L.func.grad(L.tanh)))(x[1]),
    "argnums": lambda L, x, A: L.func.grad(lambda a, b: (a @ b).tanh().sum(), argnums=(1, 0))(A, x),
    "negative argnum": lambda L, x, A: L.func.grad(lambda a, b: (a @ b).tanh().sum(), argnums=-1)(A, x),
    "aux": lambda L, x, A: L.func.grad(lambda y: ((y * 2).sum() ** 2, y.exp()), has_aux=True)(x),
    "grad and value": lambda L, x, A: L.func.grad_and_value(lambda y: ((y * 2).sum() ** 2, y.exp()), has_aux=True)(x),
    "nested arguments": lambda L, x, A: L.func.grad(lambda p: (A @ p["w"] + p["b"][0]).sin().sum())({"w": x, "b": [x[0], x[1]]}),
    "independent": lambda L, x, A: L.func.grad(lambda a, b: a.sum() ** 2, argnums=(0, 1))(x, A),
    "in place inside": lambda L, x, A: L.func.grad(lambda y: _doubled(y * 1.5).sin().sum())(x),
    "no_grad around": lambda L, x, A: _without(L, lambda: L.func.grad(lambda y: (y**3).sum())(x)),
    "no_grad inside": lambda L, x, A: L.func.grad(lambda y: (y * _without(L, lambda: y.exp())).sum())(x),
    "detach inside": lambda L, x, A: L.func.grad(lambda y: (y * y.detach()).sum())(x),
    "jacrev": lambda L, x, A: L.func.jacrev(lambda y: A.sin() @ y.exp())(x),
    "jacrev of a matrix": lambda L, x, A: L.func.jacrev(lambda a: (a @ x).tanh())(A),
    "jacrev of a tuple": lambda L, x, A: L.func.jacrev(lambda a, b: (a @ b, b.sum(), {"k": a.sum(0)}), argnums=(0, 1))(A, x),
    "jacfwd": lambda L, x, A: L.func.jacfwd(lambda y: (A @ y.exp()).tanh())(x),
    "jacfwd of a tuple": lambda L, x, A: L.func.jacfwd(lambda a, b: (a @ b, b.sum()), argnums=(0, 1))(A, x),
    "hessian": lambda L, x, A: L.func.hessian(lambda y: (A @ y).tanh().pow(2).sum())(x),
    "jacrev of jacrev": lambda L, x, A: L.func.jacrev(L.func.jacrev(lambda y: (A @ y).sin()))(x),
    "vjp": lambda L, x, A: (lambda o: [o[0], o[1](o[0])])(L.func.vjp(lambda a, y: a @ y, A, x)),
    "vjp twice": lambda L, x, A: (lambda o: [o[1](o[0]), o[1](o[0] * 2)])(L.func.vjp(lambda y: (A @ y).sin(), x)),
    "jvp": lambda L, x, A: L.func.jvp(lambda a, y: (a @ y).sin(), (A, x), (A * 2, x.cos())),
    "jvp aux": lambda L, x, A: L.func.jvp(lambda y: (y.sin(), y.sum()), (x,), (x.cos(),), has_aux=True),
    "jvp of jvp": lambda L, x, A: L.func.jvp(lambda y: L.func.jvp(L.sin, (y,), (y * y,))[1], (x,), (x.cos(),)),
    "linearize": lambda L, x, A: (lambda o: [o[0], o[1](x), o[1](x * 2)])(L.func.linearize(lambda y: (A @ y).sin(), x)),
    "vmap": lambda L, x, A: L.func.vmap(lambda r: (r * x).sum().tanh())(A),
    "vmap in_dims": lambda L, x, A: L.func.vmap(L.dot, in_dims=(None, 0))(x, A),
    "vmap in_dims 1": lambda L, x, A: L.func.vmap(lambda c: c.cumsum(0), in_dims=1)(A),
    "vmap in_dims -1": lambda L, x, A: L.func.vmap(lambda c: c.sum(), in_dims=-1)(A),
    "vmap out_dims": lambda L, x, A: L.func.vmap(lambda r: (r * 2, r.sum()), out_dims=(1, 0))(A),
    "vmap out_dims -1": lambda L, x, A: L.func.vmap(lambda r: r.outer(x), out_dims=-1)(A),
    "vmap nested arguments": lambda L, x, A: L.func.vmap(lambda d, k: d["a"] * d["b"][0] + k, in_dims=({"a": 0, "b": None}, None))(
        {"a": A, "b": [x]}, 2.0
    ),
    "vmap of vmap": lambda L, x, A: L.func.vmap(L.func.vmap(lambda a, b: a * b - b, in_dims=(None, 0)), in_dims=(0, None))(x, A[0]),
    "vmap constant": lambda L, x, A: L.func.vmap(lambda r: x.sum())(A),
    "vmap chunks": lambda L, x, A: L.func.vmap(lambda r: r.softmax(0), chunk_size=3)(A),
    "vmap grad": lambda L, x, A: L.func.vmap(L.func.grad(lambda r: (r * x).sin().prod()))(A),
    "vmap hessian": lambda L, x, A: L.func.vmap(L.func.hessian(lambda r: (r * x).sin().prod()))(A),
    "vmap jvp": lambda L, x, A: L.func.vmap(lambda r: L.func.jvp(L.sin, (r,), (x,))[1])(A),
    "grad vmap": lambda L, x, A: L.func.grad(lambda y: L.func.vmap(lambda r: (r * y).sum() ** 2)(A).sum())(x),
    "jacrev vmap": lambda L, x, A: L.func.jacrev(lambda y: L.func.vmap(lambda r: (r * y).sum() ** 2)(A))(x),
    "vmap views": lambda L, x, A: L.func.vmap(lambda r: r.view(5, 1).expand(5, 3).t()[1:, ::2].flip(0))(A),
    "vmap indexing": lambda L, x, A: L.func.vmap(lambda r, i: (r[[0, 2]], r[i], r.index_select(0, i), x[i]))(
        A, L.tensor([[0, 1], [3, 4], [2, 2], [1, 0]])
    ),
    "vmap where": lambda L, x, A: L.func.vmap(lambda r: L.where(r > 0, r, x).masked_fill(r < -1, 0.5))(A),
    "vmap sort": lambda L, x, A: L.func.vmap(lambda r: (r.sort().values, r.topk(2).indices, r.argmax(), r.max(0).values))(A),
    "vmap matrices": lambda L, x, A: L.func.vmap(lambda r: (L.outer(r, r) + 3 * L.eye(5)).inverse() @ x)(A),
    "vmap writes": lambda L, x, A: L.func.vmap(lambda r: _written(r.clone()))(A),
    "vmap same randomness": lambda L, x, A: L.func.vmap(lambda r: r + L.rand(5), randomness="same")(A),
    "vmap einsum": lambda L, x, A: L.func.vmap(lambda r: L.einsum("i,j->ij", r, x).trace())(A),
    "vmap namespace": lambda L, x, A: L.vmap(lambda r: r * 2)(A),
    "functionalize": lambda L, x, A: L.func.functionalize(lambda y: _doubled(y * 1))(x),
}


def _doubled(t):
    t.mul_(2)
    t[0] = t[1] * 3
    return t


def _written(t):
    t[1:3] = t[0] * 2
    t[4].mul_(3)
    return t.t() if t.dim() == 2 else t


def _without(L, fn):
    with L.no_grad():
        return fn()


@pytest.mark.parametrize("case", CASES)
def test_as_in_pytorch(case):
    same(lambda L: CASES[case](L, *data(L)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", ["grad", "jacrev", "hessian", "vmap grad", "vmap writes"])
def test_one_operation_at_a_time(case, monkeypatch):
    monkeypatch.setattr(ours.config, "eager", True)
    same(lambda L: CASES[case](L, *data(L)), rtol=1e-4, atol=1e-5)


def test_gradients_of_each_sample():
    def run(L):
        m = L.nn.Sequential(L.nn.Conv2d(1, 2, 3), L.nn.ReLU(), L.nn.MaxPool2d(2), L.nn.Flatten(), L.nn.LayerNorm(8), L.nn.Linear(8, 3))
        parameters = {k: v.detach() for k, v in m.named_parameters()}
        images, labels = L.randn(4, 1, 6, 6), L.tensor([0, 2, 1, 0])

        def loss(p, x, t):
            return L.nn.functional.cross_entropy(L.func.functional_call(m, p, (x[None],)), t[None])

        return L.func.vmap(L.func.grad(loss), in_dims=(None, 0, 0))(parameters, images, labels)

    same(run)


def test_an_ensemble_of_models():
    def run(L):
        models = [L.nn.Sequential(L.nn.Linear(5, 4), L.nn.BatchNorm1d(4).eval(), L.nn.Tanh()) for _ in range(3)]
        for m in models:
            m.eval()
        parameters, buffers = L.func.stack_module_state(models)
        x = L.randn(6, 5)
        out = L.func.vmap(lambda p, b, x: L.func.functional_call(models[0], (p, b), (x,)), in_dims=(0, 0, None))(parameters, buffers, x)
        out.sum().backward()
        return [out, [p.grad for p in parameters.values()], [p.requires_grad for p in parameters.values()], list(buffers)]

    same(run)


def test_the_first_call_of_a_module_inside_a_transform():
    """Its parameters, initialised a moment ago, do not end the trace that the arguments' nodes are in."""

    def run(L):
        m, x = L.nn.Linear(4, 3), L.randn(2, 4)
        given = {k: p.detach() for k, p in m.named_parameters()}
        rows = L.func.vmap(L.func.jacrev(lambda p, x: L.func.functional_call(m, p, (x,))), (None, 0))(given, x)
        m = L.nn.Linear(4, 3)
        return [rows, L.func.jacrev(lambda x: L.nn.functional.linear(x, m.weight))(x[0])]

    same(run)


def test_functional_call_leaves_the_module_as_it_was():
    def run(L):
        m = L.nn.Linear(3, 2)
        m.tied = m.weight
        before = m.weight
        out = L.func.functional_call(m, {"weight": L.ones(2, 3), "unknown": L.ones(1)}, L.ones(1, 3))
        with pytest.raises(RuntimeError):
            L.func.functional_call(m, {"weight": L.ones(2, 3)}, L.ones(1, 3), strict=True)
        return [out, m.weight is before, "weight" in dict(m.named_parameters())]

    same(run)


def test_functional_call_hands_back_what_forward_assigned_and_refuses_tied_values():
    def run(L):
        class Counting(L.nn.Module):
            def __init__(self):
                super().__init__()
                self.a = self.b = L.nn.Linear(2, 2)
                self.register_buffer("calls", L.zeros(()))

            def forward(self, x):
                self.calls = self.calls + 1
                return self.b(x)

        m = Counting()
        given = {"calls": L.tensor(5.0), "a.weight": L.eye(2), "b.weight": L.zeros(2, 2)}
        with pytest.raises(ValueError, match="which are tied"):
            L.func.functional_call(m, given, L.ones(2))
        del given["b.weight"]
        return [L.func.functional_call(m, given, L.ones(2)), given, m.calls]

    same(run)


def test_history_of_what_the_function_closes_over():
    def run(L):
        x, A = data(L)
        w = L.randn(5, requires_grad=True)
        g = L.func.grad(lambda y: (y * w).sin().sum())(x)
        plain = L.func.grad(lambda y: y.sin().sum())(x)
        mapped = L.func.vmap(lambda r: (r * w).sum())(A)
        (g.sum() + mapped.sum()).backward()
        y = L.randn(5, requires_grad=True)
        through = L.func.grad(lambda v: (v**3).sum())(y)
        through.sum().backward()
        return [g.requires_grad, plain.requires_grad, w.grad, through, y.grad]

    same(run)


def test_indices_of_each_example():
    def run(L):
        x, v, i = L.arange(24.0).view(2, 3, 4), L.arange(16.0).view(2, 4, 2), L.tensor([[0, 2], [3, 3]])
        add = lambda a, i, v: a.T.index_add(0, i, v.mT.sum(1, keepdim=True).expand(2, 3), alpha=2)  # noqa: E731
        return [
            L.func.vmap(add)(x, i, v),
            L.func.vmap(L.func.grad(lambda a, i, v: add(a, i, v).pow(2).sum(), argnums=(0, 2)))(x, i, v),
            L.func.vmap(lambda a, i: a.index_fill(1, i, 7.0))(x, i),
            L.func.vmap(lambda a, i: a.index_copy(1, i, a[:, :2] * 2))(x, i + L.tensor([[0, 0], [0, -1]])),
        ]

    same(run)  # a warning that an operation is done one by one is an error


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_functions_that_read_values_read_those_of_all_examples():
    def run(L):
        w, i = L.arange(1.0, 25.0).view(2, 3, 4), L.tensor([[0, 2, 1], [2, 2, 0]])
        vmap, draw = L.func.vmap, {"randomness": "different"}
        return [
            vmap(lambda a: L.multinomial(a, 2), **draw)(w),
            vmap(vmap(lambda a: a.multinomial(5, True), **draw), **draw)(w),
            vmap(lambda a: L.nn.functional.one_hot(a, 4))(i),
            vmap(lambda a: a.histc(3, 0, 9))(w[:, 0]),
        ]

    same(run)
    with pytest.raises(RuntimeError, match="same randomness"):
        ours.func.vmap(ours.poisson, randomness="same")(ours.ones(2, 3))


def test_arguments_written_in_place_are_written():
    def run(L):
        x, y = L.arange(6.0).view(2, 3), L.arange(6.0).view(3, 2)
        L.func.vmap(lambda a: a.add_(1)[0].mul_(5))(x)
        L.func.vmap(lambda a, b: a.mul_(b.sum()), in_dims=(1, 0), chunk_size=1)(y, x)
        L.func.vmap(L.func.vmap(lambda a: a.sub_(1)))(y[1:])
        return x, y

    same(run)


def test_a_tensor_that_is_one_for_all_examples_takes_no_values_of_each():
    for L in (ours, torch):
        x, w, norm = L.ones(2, 3), L.zeros(3), L.nn.BatchNorm1d(3)
        v = w * 2
        for write in (lambda a, t=w: t.add_(a), lambda a, t=v: t[1:].copy_(a[1:]), lambda a, n=norm: n(a[None].repeat(2, 1))):
            with pytest.raises(RuntimeError):
                L.func.vmap(write)(x)
        assert w.tolist() == v.tolist() == norm.running_mean.tolist() == [0.0] * 3


MISTAKES = {
    "a draw": (lambda L, x, A: L.func.vmap(lambda r: r + L.rand(5))(A), "randomness"),
    "an item": (lambda L, x, A: L.func.vmap(lambda r: r * r.sum().item())(A), ".item()"),
    "a branch": (lambda L, x, A: L.func.vmap(lambda r: r if r.sum() > 0 else -r)(A), "control flow"),
    "sizes": (lambda L, x, A: L.func.vmap(L.mul)(x, A), "same size in the mapped dimension"),
    "nothing mapped": (lambda L, x, A: L.func.vmap(L.mul, in_dims=(None, None))(x, A), "at least one Tensor to vmap over"),
    "no tensor": (lambda L, x, A: L.func.vmap(lambda r, k: r)(A, 2.0), "non-Tensor"),
    "in_dims out of range": (lambda L, x, A: L.func.vmap(L.sin, in_dims=1)(x), "dimensionality 1"),
    "in_dims of another structure": (lambda L, x, A: L.func.vmap(L.sin, in_dims=(0, 0))(x), "in_dims is not compatible"),
    "out_dims None": (lambda L, x, A: L.func.vmap(L.sin, out_dims=None)(x), "can not return a BatchedTensor when out_dim is None"),
    "no tensor returned": (lambda L, x, A: L.func.vmap(lambda r: 2.0)(x), "must only return Tensors"),
    "randomness": (lambda L, x, A: L.func.vmap(L.sin, randomness="some")(x), "Only allowed values for randomness"),
    "no scalar": (lambda L, x, A: L.func.grad(L.sin)(x), "scalar Tensor"),
    "integers": (lambda L, x, A: L.func.grad(lambda i: i.sum())(L.arange(3)), "floating point"),
    "argnums": (lambda L, x, A: L.func.grad(L.sum, argnums=2)(x), "positional inputs"),
    "no argnums": (lambda L, x, A: L.func.grad(L.sum, argnums=())(x), "must be non-empty"),
    "a number": (lambda L, x, A: L.func.grad(lambda v: v * 2)(2.0), "must be Tensor"),
    "no primals": (lambda L, x, A: L.func.jvp(L.sum, (), ()), "at least one Tensor"),
    "integers forward": (lambda L, x, A: L.func.jacfwd(lambda i: i.sum())(L.arange(3)), "Expected primal to be floating point"),
    "tangents": (lambda L, x, A: L.func.jvp(L.sin, (x,), (A, A)), "same python structure"),
    "cotangents": (lambda L, x, A: L.func.vjp(L.sin, x)[1]((x, x)), "pytree structure"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case):
    run, words = MISTAKES[case]
    kinds = []
    for L in (ours, torch):
        with pytest.raises((RuntimeError, ValueError, TypeError, IndexError)) as caught:
            run(L, *data(L))
        kinds.append(caught.type)
        assert words in str(caught.value), str(caught.value)
    assert kinds[0] is kinds[1]


def test_tensors_inside_of_transforms_are_printed():
    def run(L):
        seen, f = [], L.func
        x, ones = L.arange(3.0), L.ones(2, 3)
        show = lambda t: (seen.append(repr(t)), t)[1]  # noqa: E731
        f.vmap(lambda r: show(r * x))(ones)
        f.vmap(f.vmap(show))(ones)
        f.grad(lambda y: show(y * 2).sum() + show(x).sum())(x)
        f.vmap(f.grad(lambda r: show(r).sum()))(ones)
        f.grad(lambda y: f.vmap(show)(y).sum())(ones)
        f.grad(f.grad(lambda y: show(y) ** 3))(x[1])
        with L.autograd.forward_ad.dual_level():
            show(L.autograd.forward_ad.make_dual(x, x + 1).sin())
        return seen

    same(run)


def test_what_escapes_from_vmap_is_refused_and_harmless():
    kept = []
    ours.func.vmap(lambda r: (kept.append(r * 2), r)[1])(ours.ones(3, 2))
    assert ours.ones(2).sum().item() == 2.0
    with pytest.raises(RuntimeError, match="kept and is used outside"):
        kept[0].tolist()


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_operations_without_a_rule_are_done_one_by_one():
    def run(L):
        x, mask = L.arange(6.0).view(2, 3), L.tensor([[True, False, True], [False, True, True]])
        return L.func.vmap(lambda a, m, v: a.masked_scatter(m, v))(x, mask, L.randn(2, 3))

    got = ours.func.vmap(lambda a, m: a.masked_scatter(m, -a))(ours.ones(2, 3), ours.tensor([[True, False, True], [False, True, True]]))
    np.testing.assert_array_equal(got.numpy(), [[-1, 1, -1], [1, -1, -1]])
    assert run(ours).shape == (2, 3)


@pytest.mark.parametrize("case", ["grad", "hessian", "vmap grad", "jvp"])
def test_a_repeated_call_meets_the_same_nodes(case):
    x, A = data(ours)
    A.numpy(), x.numpy()
    new = new_work(lambda: [t.sum().item() for t in _tensors(CASES[case](ours, x.clone(), A.clone()))])
    assert new["compiles"] == 0 and new["nodes"] == 0, new


def _tensors(out):
    return [t for o in (out if isinstance(out, (list, tuple)) else [out]) for t in (_tensors(o) if isinstance(o, (list, tuple)) else [o])]


@pytest.mark.parametrize("padding", [None, 1])
def test_gradients_of_embeddings_for_each_table(padding):
    """The padding row has none, in any of the tables. (Through the map PyTorch knows the first one's only.)"""

    def run(lib):
        tables = (lib.arange(24.0).view(2, 4, 3) / 24).requires_grad_()
        words = lib.tensor([[0, 1, 1], [3, 1, 3]])

        def loss(table, names):
            return (lib.nn.functional.embedding(names, table, padding) ** 2).sum()

        inside = lib.func.vmap(lib.func.grad(loss))(tables, words)
        if lib is ours or padding is None:
            lib.func.vmap(loss)(tables, words).sum().backward()
            assert lib.equal(tables.grad, inside)
        return inside

    same(run)


def test_an_argument_that_comes_back_from_a_transform_inside_is_still_mapped():
    x, y = ours.randn(3, 2), ours.randn(3, 2)
    shifted = ours.func.vmap(lambda a, b: ours.func.jvp(lambda z: z - b, (a,), (a,))[1])(x, y)
    assert ours.equal(shifted, x)


def test_results_under_no_grad_have_no_history():
    def run(L):
        x = L.tensor([1.0, 2.0], requires_grad=True)
        cube = lambda a: (a**3).sum()  # noqa: E731
        with L.no_grad():
            found = [L.func.grad(cube)(x), *L.func.grad_and_value(cube)(x), L.func.jacrev(cube)(x), L.func.vjp(cube, x)[0]]
            pull = L.func.vjp(cube, x)[1]
            found += [*pull(L.tensor(1.0)), *L.func.jvp(cube, (x,), (x.detach(),))]
        return [t.requires_grad for t in found] + [L.func.grad(cube)(x).requires_grad]

    assert run(ours) == run(torch) == [False] * 8 + [True]


@pytest.mark.parametrize("name", ["jacrev", "jacfwd"])
def test_jacobians_of_complex_numbers_are_refused(name):
    for L in (torch, ours):
        transform = getattr(L.func, name)
        for function, x in ((lambda a: a * 1j, L.ones(2)), (lambda a: a * 2, L.ones(2, dtype=L.complex64))):
            with pytest.raises(RuntimeError, match="to be real but received complex tensor"):
                transform(function)(x)
