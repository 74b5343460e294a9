"""autograd.Function beside PyTorch: what is saved, marked, hooked, returned as it is, and mapped over a batch."""

import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")


def square(T):
    class Square(T.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x, k=1):
            return k * x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.k = inputs
            ctx.save_for_backward(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * ctx.k * x * g, None

    return Square


def function(T, forward, backward):
    return type("Made", (T.autograd.Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


def leaf(T, *values):
    return T.tensor(values, requires_grad=True)


def numbers(x):
    """What a run gives, as plain Python values."""
    if isinstance(x, (ours.Tensor, torch.Tensor)):
        return x.tolist()
    return [numbers(v) for v in x] if isinstance(x, (list, tuple)) else x


def both(run):
    assert numbers(run(ours)) == numbers(run(torch))


def refused(run, error=RuntimeError, words=""):
    """Both refuse, with an error of that type that says that."""
    for T in (torch, ours):
        with pytest.raises(error, match=words):
            run(T)


# ---------------------------------------------------------------- what is saved
def test_arguments_not_given_have_their_defaults_and_names():
    def run(T):
        x = leaf(T, 1.0, 2.0)
        (square(T).apply(x) + square(T).apply(x, k=5)).sum().backward()
        return x.grad

    both(run)


@pytest.mark.parametrize("change", ["operand", "output", "step"])
def test_a_saved_tensor_that_was_modified_is_refused(change):
    def run(T):
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y if change == "output" else x)
            return y

        E = function(T, forward, lambda ctx, g: ctx.saved_tensors[0] * g)
        x = leaf(T, 0.5, 1.0)
        z = x if change == "step" else x * 1
        y = E.apply(z)
        if change == "step":
            x.grad = T.ones(2)
            T.optim.SGD([x], lr=0.1).step()
        else:
            (z if change == "operand" else y).mul_(2)
        y.sum().backward()

    refused(run, words="modified by an inplace operation")


def test_saved_tensors_are_freed_by_a_backward_pass_and_what_saves_nothing_runs_again():
    def again(T, **how):
        y = square(T).apply(leaf(T, 1.0)).sum()
        y.backward(**how)
        y.backward()

    again(ours, retain_graph=True)
    refused(again, words="backward through the graph a second time")

    def run(T):
        x = leaf(T, 1.0, 2.0)
        y = function(T, lambda ctx, x: x * 2, lambda ctx, g: g * 2).apply(x).sum()
        y.backward()
        y.backward()
        return x.grad

    both(run)
    refused(
        lambda T: function(T, lambda ctx, x: ctx.save_for_backward(x, 3), None).apply(leaf(T, 1.0)), TypeError, "argument 1 is of type int"
    )


def test_saved_tensors_go_through_hooks_once():
    def run(T):
        log = []

        def pack(t):
            log.append(t.tolist())
            return t.detach().clone() * 10

        def unpack(t):
            log.append(t.tolist())
            return t

        x = leaf(T, 1.0, 2.0)
        with T.autograd.graph.saved_tensors_hooks(pack, unpack):
            y = square(T).apply(x)
        y.sum().backward()
        return log, x.grad

    both(run)


# ---------------------------------------------------------------- what is marked
@pytest.mark.parametrize("part", [False, True])
def test_an_input_modified_in_place_is_the_output(part):
    def run(T):
        def forward(ctx, x, w):
            ctx.mark_dirty(x)
            return x.mul_(w)

        F = function(T, forward, lambda ctx, g: (g * 2, g * 10))
        a, w = leaf(T, 1.0, 2.0, 3.0), T.tensor(2.0)
        b = a * 1
        x = b[:2] if part else b
        y = F.apply(x, w)
        b.sum().backward()
        return y is x, x._version, b, a.grad

    both(run)


def test_an_input_without_history_gains_one():
    def run(T):
        def forward(ctx, x, w):
            ctx.mark_dirty(x)
            return x.add_(w)

        x, w = T.zeros(2), leaf(T, 1.0, 1.0)
        function(T, forward, lambda ctx, g: (g, g * 3)).apply(x, w)
        (x * 2).sum().backward()
        return x.requires_grad, w.grad

    both(run)


def test_wrong_marks_are_refused():
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    def lost(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2).clone()

    refused(lambda T: function(T, forward, None).apply(leaf(T, 1.0)), words="a leaf Variable that requires grad")
    refused(lambda T: function(T, lost, None).apply(leaf(T, 1.0) * 1), words="marked as dirty during the forward method were not returned")


def test_outputs_without_a_gradient():
    def run(T):
        def forward(ctx, x):
            v, i = x.max(0)
            m = x.clone()
            ctx.mark_non_differentiable(i, m)
            return v, i, m

        seen = []

        def backward(ctx, gv, gi, gm):
            seen.extend([gv, gi, gm])
            return gv * T.ones(3)

        x = leaf(T, 1.0, 3.0, 2.0)
        v, i, m = function(T, forward, backward).apply(x)
        v.backward()
        return v.requires_grad, i.requires_grad, m.requires_grad, x.grad, seen

    both(run)


def test_missing_gradients_are_none_if_wanted():
    def run(T):
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x.clone(), x.clone()

        x = leaf(T, 1.0, 1.0)
        function(T, forward, lambda ctx, a, b: b * (2 if a is None else 3)).apply(x)[1].sum().backward()
        return x.grad

    both(run)


# ---------------------------------------------------------------- what is returned
def test_an_input_returned_as_it_is_becomes_another_tensor():
    def run(T):
        F = function(T, lambda ctx, x: x, lambda ctx, g: g * 10)
        x, plain = leaf(T, 1.0, 1.0), T.ones(2)
        y, z = F.apply(x), F.apply(plain)
        y.sum().backward()
        z.add_(1)
        return y is x, y._is_view(), x.grad, z is plain, plain

    both(run)
    refused(lambda T: function(T, lambda ctx, x: x, None).apply(leaf(T, 1.0)).add_(1), words="created inside a custom Function")
    refused(lambda T: function(T, lambda ctx, x: x.view(-1), None).apply(leaf(T, 1.0)).add_(1), words="created inside a custom Function")


def test_one_tensor_returned_twice_is_one_output():
    def run(T):
        def forward(ctx, x):
            y = x * 2
            return y, y

        x = leaf(T, 1.0, 1.0)
        a, b = function(T, forward, lambda ctx, g, h: g + h * 10).apply(x)
        (a.sum() + b.sum()).backward()
        return a is b, x.grad

    both(run)


def test_gradients_of_what_is_no_tensor_are_refused():
    F = lambda T: function(T, lambda ctx, x, k: x * k, lambda ctx, g: (g, g))  # noqa: E731
    refused(lambda T: F(T).apply(leaf(T, 1.0), 2.0).backward(), words="different than None at position 2")


# ---------------------------------------------------------------- grad_fn
def test_the_step_has_the_attributes_of_its_context():
    def run(T):
        x = leaf(T, 1.0, 2.0)
        y = square(T).apply(x, 3)
        step = y.grad_fn
        found = step.k, step.saved_tensors[0], step.needs_input_grad, step.name(), hasattr(step, "other")
        y.sum().backward()
        with pytest.raises(RuntimeError, match="already been freed"):
            _ = step.saved_tensors
        return found, step.next_functions[0][0].name(), type(step).__mro__[1].__name__

    both(run)


def test_hooks_see_all_gradients_of_a_call():
    def run(T):
        log = []
        F = function(T, lambda ctx, x, y: (x * y, x + y), lambda ctx, g, h: (g + h, h))
        a, b = leaf(T, 1.0, 1.0), leaf(T, 1.0, 1.0)
        p, q = F.apply(a, b)
        step = p.grad_fn
        step.register_hook(lambda gi, go: log.append((gi, go)))
        step.register_hook(lambda gi, go: (gi[0] * 2, None))
        step.register_prehook(lambda go: tuple(3 * g for g in go))
        edges = [i for _, i in (p * q).grad_fn.next_functions]
        same = step is q.grad_fn
        (p.sum() + 2 * q.sum()).backward()
        return log, edges, same, p.output_nr, q.output_nr, a.grad, b.grad

    both(run)


def test_equal_calls_of_a_step_meet_the_same_nodes_again():
    S, x = square(ours), ours.randn(3, requires_grad=True)
    counts = []
    for _ in range(5):
        (S.apply(x) * S.apply(x)).sum().backward()
        x.grad.tolist()
        x.grad = None
        counts.append(ours.asg.stats()["nodes"])
    assert counts[2:] == [counts[2]] * 3


# ---------------------------------------------------------------- batches
@pytest.mark.parametrize(
    "run",
    [
        lambda T, f, x: T.func.vmap(f)(x),
        lambda T, f, x: T.func.vmap(T.func.grad(f))(x),
        lambda T, f, x: T.func.grad(lambda a: T.func.vmap(f)(a).sum())(x),
        lambda T, f, x: T.func.grad(lambda a: T.func.vmap(T.func.vmap(f))(a.view(1, 3)).sum())(x),
        lambda T, f, x: T.func.grad(lambda a: (T.func.vmap(T.func.grad(f))(a) ** 2).sum())(x),
        lambda T, f, x: T.func.jacrev(f)(x),
    ],
)
@pytest.mark.parametrize("own", [False, True])
def test_a_function_over_a_batch_and_its_gradient(run, own):
    def result(T):
        S = square(T)
        if own:
            S.generate_vmap_rule = False
            S.vmap = staticmethod(lambda info, in_dims, x, k: (S.apply(x, k), in_dims[0]))
        return run(T, lambda a: S.apply(a, 3), T.tensor([1.0, 2.0, 3.0]))

    both(result)


def test_backward_through_a_batch_of_calls_later():
    def run(T):
        a, w = leaf(T, 1.0, 2.0, 3.0), leaf(T, 1.0)
        y = T.func.vmap(square(T).apply)(a)
        opt = T.optim.SGD([w], lr=0.1)
        (w * w).sum().backward()
        opt.step()
        shown = w.item()
        (y * 2).sum().backward()
        return a.grad, round(shown, 4)

    both(run)


def test_a_vmap_of_ones_own_reads_whole_batches():
    def run(T):
        class Sorted(T.autograd.Function):
            @staticmethod
            def forward(x, dim):
                return T.from_numpy(x.detach().numpy().copy()).sort(dim)[0]

            @staticmethod
            def setup_context(ctx, inputs, output):
                x, ctx.dim = inputs
                ctx.save_for_backward(x)

            @staticmethod
            def backward(ctx, g):
                return g * ctx.saved_tensors[0], None

            @staticmethod
            def vmap(info, in_dims, x, dim):
                assert (info.batch_size, info.randomness) == (3, "error")
                return Sorted.apply(x.movedim(in_dims[0], 0), dim + 1), 0

        x = T.tensor([[3.0, 1.0], [5.0, 6.0], [2.0, 0.5]])
        f = lambda a: Sorted.apply(a, 0)  # noqa: E731
        return T.func.vmap(f)(x), T.func.vmap(f, in_dims=1)(x.t().contiguous()), T.func.grad(lambda a: T.func.vmap(f)(a).sum())(x)

    both(run)


# ---------------------------------------------------------------- forward mode
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_derivatives_along_a_direction():
    def run(T):
        class Scaled(T.autograd.Function):
            @staticmethod
            def forward(x, k):
                return k * x * x

            @staticmethod
            def setup_context(ctx, inputs, output):
                x, ctx.k = inputs
                ctx.save_for_backward(x)
                ctx.save_for_forward(x)

            @staticmethod
            def jvp(ctx, x, k):
                return 2 * ctx.k * ctx.saved_tensors[0] * x

        class Both(Scaled):
            generate_vmap_rule = True
            backward = staticmethod(lambda ctx, g: (2 * ctx.k * ctx.saved_tensors[0] * g, None))

        x, v = T.tensor([1.0, 2.0, 3.0]), T.tensor([1.0, 0.5, 0.25])
        found = [T.func.jvp(lambda a, F=F: F.apply(a + 1, 3) * 2, (x,), (v,)) for F in (Scaled, Both)]
        with T.autograd.forward_ad.dual_level():
            dual = T.autograd.forward_ad.make_dual(x, v)
            found += [tuple(T.autograd.forward_ad.unpack_dual(F.apply(dual, 3))) for F in (Scaled, Both)]
        return found, found[0][0].requires_grad, T.func.jacfwd(lambda a: Both.apply(a, 3))(x)

    both(run)


def test_gradients_by_the_gradient_of_the_output():
    """Which is a leaf, and not a result of another operation."""

    def run(T):
        x, v = leaf(T, 1.0, 2.0, 3.0), leaf(T, 1.0, 0.5, 0.25)
        (g,) = T.autograd.grad(square(T).apply(x), x, v, create_graph=True)
        (g * g).sum().backward()
        return g, x.grad, v.grad, T.autograd.gradgradcheck(square(T).apply, x.detach().double().requires_grad_())

    both(run)


def test_one_gradient_given_to_two_calls():
    def run(T):
        x, y, g = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0), T.tensor([1.0, 2.0])
        T.autograd.backward([square(T).apply(x), square(T).apply(y)], [g, g])
        return x.grad, y.grad

    both(run)
