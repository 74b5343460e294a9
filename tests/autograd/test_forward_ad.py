"""Forward mode beside PyTorch: through custom Functions, and where no gradients are recorded."""

import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # PyTorch's own forward mode says so


def weighted(T, seen, **overrides):
    """``(x y k, x + y)`` with a `jvp` and without a `backward`; calls of it are noted in `seen`."""

    class Weighted(T.autograd.Function):
        @staticmethod
        def forward(ctx, x, k, y):
            ctx.save_for_forward(x, y)
            ctx.k = k
            return x * y * k, x + y

        @staticmethod
        def jvp(ctx, tx, tk, ty):
            seen.append((tx.tolist(), tk, ty.tolist()))
            x, y = ctx.saved_tensors
            del ctx.k  # as scripts do, to free what is no longer needed: it is called once
            return (tx * y + x * ty) * 2, tx + ty

    return type("Weighted", (Weighted,), overrides)


def numbers(T):
    return T.arange(3.0) + 1, T.arange(3.0) * 2, T.ones(3)


@pytest.mark.parametrize("both", [True, False])
def test_jvp_is_called_once_with_the_tangents_of_all_inputs(both):
    found = []
    for T in (torch, ours):
        x, y, t = numbers(T)
        seen, fw = [], T.autograd.forward_ad
        with fw.dual_level():
            a, b = weighted(T, seen).apply(fw.make_dual(x, t), 2.0, fw.make_dual(y, t * 3) if both else y)
            found.append((fw.unpack_dual(a).tangent.tolist(), fw.unpack_dual(b).tangent.tolist(), seen[0]))
    assert found[0] == found[1]


def exponential(T):
    class Exponential(T.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x.exp()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(output)

        @staticmethod
        def jvp(ctx, t):
            return t * ctx.saved_tensors[0]

    return Exponential.apply


TRANSFORMS = {
    "jvp": lambda T, f, x: T.func.jvp(f, (x,), (x * 2,))[1],
    "jacfwd": lambda T, f, x: T.func.jacfwd(f)(x),
    "vmap": lambda T, f, x: T.func.vmap(lambda u: T.func.jvp(f, (u,), (u,))[1])(T.stack([x, x + 1])),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_function_transforms_call_jvp(name):
    expected, found = [TRANSFORMS[name](T, exponential(T), numbers(T)[0]) for T in (torch, ours)]
    assert ours.allclose(found, ours.tensor(expected.tolist()))


@pytest.mark.parametrize("given", [lambda t: t[:2], lambda t: (t, t)], ids=["shape", "number"])
def test_what_jvp_returns_is_checked(given):
    messages = []
    for T in (torch, ours):
        x, _, t = numbers(T)
        forward, fw = staticmethod(lambda ctx, x: x * 2), T.autograd.forward_ad
        made = type("Made", (T.autograd.Function,), {"forward": forward, "jvp": staticmethod(lambda ctx, t: given(t))})
        with pytest.raises(RuntimeError) as error, fw.dual_level():
            fw.unpack_dual(made.apply(fw.make_dual(x, t)))
        messages.append(str(error.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("T", [torch, ours], ids=["torch", "ours"])
def test_a_function_without_jvp_is_refused_by_forward_mode_alone(T):
    class Tripled(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 3

        @staticmethod
        def backward(ctx, g):
            return g * 3

    x, _, t = numbers(T)
    for transform in (lambda: T.func.jvp(Tripled.apply, (x,), (t,)), lambda: T.func.jacfwd(Tripled.apply)(x)):
        with pytest.raises((NotImplementedError, RuntimeError)):  # transforms of PyTorch's want a setup_context first
            transform()
    with pytest.raises(NotImplementedError, match="must implement the jvp function"), T.autograd.forward_ad.dual_level():
        T.autograd.forward_ad.unpack_dual(Tripled.apply(T.autograd.forward_ad.make_dual(x, t)))
    assert T.autograd.functional.jvp(Tripled.apply, x, t)[1].tolist() == [3.0, 3.0, 3.0]
    assert T.autograd.grad(Tripled.apply(x.requires_grad_()).sum(), x)[0].tolist() == [3.0, 3.0, 3.0]


def _written(T, y):
    """What a copy of `y` holds after writes of parts of it, of all of it, through a view and into plain data."""
    whole, plain, copied = y.clone(), T.zeros(3), T.zeros(3)
    view = whole[1:]
    whole[0] = y[1] * 2
    whole *= y[2]
    whole[2].mul_(3)
    plain[1:] = y[:2]
    copied.copy_(y)
    return T.cat([whole, view, plain, copied])


UNRECORDED = {
    "views": lambda T, x: T.cat([x[1:].exp(), (x * x).view(3, 1)[:2, 0], x.expand(2, 3).sum(0)]),
    "writes": _written,
    "operations": lambda T, x: x.sin() * 2,
    "detached": lambda T, x: x.detach() * x,
    "layer": lambda T, x: T.nn.functional.linear(x, T.ones(2, 3), T.ones(2)),
}


@pytest.mark.parametrize("name", UNRECORDED)
def test_tangents_pass_where_gradients_do_not(name):
    """`no_grad` inside and around forward mode."""
    found = []
    for T in (torch, ours):

        def unrecorded(x, T=T):
            with T.no_grad():
                return UNRECORDED[name](T, x)

        x, w, t = numbers(T)
        w.requires_grad_()
        inside = T.func.jvp(lambda x: unrecorded(x) + x.sum(), (x,), (t,))
        with T.no_grad(), T.autograd.forward_ad.dual_level():
            around = T.autograd.forward_ad.unpack_dual(UNRECORDED[name](T, T.autograd.forward_ad.make_dual(x, t) * w))
        through = T.func.grad(lambda x: (unrecorded(x) * x.sum()).sum())(x)
        assert not any(part.requires_grad for part in (*inside, *around))
        found.append([part.tolist() for part in (*inside, *around, through)])
    for a, b in zip(*found, strict=True):
        assert a == pytest.approx(b, rel=1e-5)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("backward", [True, False])
def test_gradcheck_checks_the_modes_that_are_asked_for(forward, backward):
    """A Function whose `jvp` is wrong and whose `backward` is right."""
    found = []
    for T in (torch, ours):
        x = T.tensor([1.0, 2.0], dtype=T.float64, requires_grad=True)
        parts = {"forward": lambda ctx, x: x * 2, "backward": lambda ctx, g: g * 2, "jvp": lambda ctx, t: t * 3}
        wrong = type("Wrong", (T.autograd.Function,), {name: staticmethod(part) for name, part in parts.items()})
        outcomes = []
        for function in (wrong.apply, T.sin):
            try:
                outcomes.append(T.autograd.gradcheck(function, x, check_forward_ad=forward, check_backward_ad=backward))
            except (RuntimeError, AssertionError) as error:
                outcomes.append((type(error).__name__, str(error).split(" for output")[0]))
        found.append(outcomes)
    assert found[0] == found[1]


def test_a_function_without_jvp_is_refused_under_no_grad_too():
    for T in (torch, ours):
        parts = {"forward": lambda ctx, x: x * 2, "backward": lambda ctx, g: g * 2}
        plain = type("Plain", (T.autograd.Function,), {name: staticmethod(part) for name, part in parts.items()})
        ad = T.autograd.forward_ad
        with ad.dual_level(), T.no_grad(), pytest.raises(NotImplementedError, match="implement the jvp"):
            ad.unpack_dual(plain.apply(ad.make_dual(T.ones(2), T.ones(2))))


def test_a_tangent_that_is_the_given_one_is_read_twice():
    def run(T):
        x, t = T.tensor([1.0, 2.0]), T.tensor([3.0, 4.0])
        with T.autograd.forward_ad.dual_level():
            copied = T.zeros(2).copy_(T.autograd.forward_ad.make_dual(x, t))
            return [T.autograd.forward_ad.unpack_dual(copied).tangent.tolist() for _ in range(3)]

    assert run(ours) == run(torch)


CHECKED = {
    "complex": (lambda T, d, z: T.exp(z), {}),
    "complex to real": (lambda T, d, z: z.abs(), {}),
    "complex by forward mode": (lambda T, d, z: z * z, {"check_forward_ad": True}),
    "real to complex": (lambda T, d, z: T.complex(d, d * d), {}),
}


@pytest.mark.parametrize("name", CHECKED)
def test_gradcheck_of_complex_numbers(name):
    function, options = CHECKED[name]
    for T in (torch, ours):
        d = T.tensor([0.3, 0.7], dtype=T.float64, requires_grad=True)
        z = T.tensor([0.3 + 0.1j, 0.7], dtype=T.complex128, requires_grad=True)
        assert T.autograd.gradcheck(lambda d, z, T=T: function(T, d, z), (d, z), **options)


def test_gradcheck_refuses_a_wrong_gradient_of_complex_numbers():
    for T in (torch, ours):
        parts = {"forward": lambda ctx, z: z * 2j, "backward": lambda ctx, g: g * 2j}  # the conjugate is missing
        wrong = type("Wrong", (T.autograd.Function,), {name: staticmethod(part) for name, part in parts.items()})
        z = T.tensor([0.3 + 0.1j, 0.7], dtype=T.complex128, requires_grad=True)
        assert not T.autograd.gradcheck(wrong.apply, z, raise_exception=False)


def test_gradgradcheck_takes_its_options():
    for T in (torch, ours):
        d = T.tensor([0.3, 0.7], dtype=T.float64, requires_grad=True)
        assert T.autograd.gradgradcheck(T.sin, d, gen_non_contig_grad_outputs=True, check_fwd_over_rev=True, fast_mode=True)
