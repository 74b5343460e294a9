"""A backward pass: in which order it goes, what it leaves out, and what stays done where it is broken off. Compared with PyTorch."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..facade.compare import same  # noqa: E402


def vector(lib, *numbers):
    return lib.tensor([float(n) for n in numbers], requires_grad=True)


def listed(t):
    return None if t is None else t.tolist()


def test_what_was_recorded_last_is_first_and_leaves_follow_on_their_last_use():
    def run(lib):
        a, b, log = vector(lib, 1, 2), vector(lib, 3, 4), []
        f, g = a * 2, b * 3
        f2, g2 = f.sin(), g.cos()
        for name, t in {"f": f, "g": g, "f2": f2, "g2": g2, "a": a, "b": b}.items():
            t.register_hook(lambda _, name=name: log.append(name))
        b.register_post_accumulate_grad_hook(lambda p: log.append(listed(p.grad)))
        (f2 + g2).sum().backward()
        return log

    same(run)


@pytest.mark.parametrize("again", [False, True])
def test_the_parameters_of_later_layers_come_first(again):
    def run(lib):
        lib.manual_seed(0)
        net, log = lib.nn.Sequential(lib.nn.Conv1d(2, 2, 1), lib.nn.Tanh(), lib.nn.Linear(2, 2)), []
        for _ in range(1 + 2 * again):
            net(lib.ones(1, 2, 2)).sum().backward()
        for name, p in net.named_parameters():
            p.register_post_accumulate_grad_hook(lambda _, name=name: log.append(name))
        net(lib.ones(1, 2, 2)).sum().backward()
        return log

    same(run)


@pytest.mark.parametrize("where", ["step", "leaf", "after", "function"])
def test_what_was_passed_before_an_error_stays_done(where):
    def run(lib):
        class Stop(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 1

            @staticmethod
            def backward(ctx, g):
                return refuse(g)

        def refuse(_):
            raise ValueError("no")

        ws = [vector(lib, i, i + 1) for i in range(1, 5)]
        h = ws[0] * 2
        for w in ws[1:]:
            h = h * w
            if w is ws[1] and where == "step":
                h.register_hook(refuse)
            elif w is ws[1] and where == "function":
                h = Stop.apply(h)
            if w is ws[2]:
                h.retain_grad()
                kept = h
        if where == "leaf":
            ws[1].register_hook(refuse)
        elif where == "after":
            ws[1].register_post_accumulate_grad_hook(refuse)
        y = h.sum()
        with pytest.raises(ValueError, match="no"):
            y.backward()
        return [listed(w.grad) for w in ws], listed(kept.grad)

    same(run)


def test_only_what_leads_to_the_inputs_is_gone_through():
    def run(lib):
        log = []

        class Twice(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                log.append(("backward", g.requires_grad))
                return g * 2

        a, b = vector(lib, 1, 2), vector(lib, 3, 4)
        f, g = Twice.apply(a).exp(), b.exp()
        f.register_hook(lambda _: log.append("f"))
        g.register_hook(lambda _: log.append("g"))
        f.retain_grad()
        g.retain_grad()
        y = (f * g).sum()
        found = [listed(lib.autograd.grad(y, b, retain_graph=True)[0]), listed(f.grad), listed(g.grad)]
        y.backward(inputs=[a], retain_graph=True)
        found += [listed(a.grad), listed(b.grad), listed(f.grad), listed(g.grad)]
        return found, log

    same(run)


def test_a_branch_that_was_not_gone_through_is_neither_freed_nor_looked_at():
    def run(lib):
        a, b, c = vector(lib, 1, 2), vector(lib, 3, 4), vector(lib, 5, 6)
        g = c.exp()
        y = a.exp().sum() + b.exp().sum() + g.sum()
        g.mul_(2)
        first, second = lib.autograd.grad(y, a), lib.autograd.grad(y, b)
        for t in (a, c):  # freed, overwritten
            with pytest.raises(RuntimeError):
                lib.autograd.grad(y, t)
        return first[0], second[0]

    same(run)


def test_the_hooks_of_an_input_see_its_gradient():
    def run(lib):
        a, log = vector(lib, 1, 2), []
        a.register_hook(lambda g: g * 2)
        a.register_post_accumulate_grad_hook(lambda _: log.append("after"))
        return lib.autograd.grad((a * 3).sum(), a)[0], a.grad is None, log

    same(run)


def test_what_a_hook_keeps_is_not_added_to():
    def run(lib):
        a, kept = vector(lib, 1, 2), []
        a.register_hook(kept.append)
        for _ in range(2):
            (a * a).sum().backward()
        return [listed(g) for g in kept], a.grad

    same(run)


def test_a_gradient_that_is_kept_is_that_of_the_value_written_last():
    def run(lib):
        a = vector(lib, 1, 2, 3)
        h = a * 2
        h.retain_grad()
        h.mul_(3)
        h[0] *= 5
        h.sum().backward()
        return h.grad, a.grad

    same(run)


@pytest.mark.parametrize("single", [False, True])
def test_optimizers_may_step_while_the_pass_runs(single):
    def run(lib):
        lib.manual_seed(0)
        net = lib.nn.Sequential(lib.nn.Linear(3, 3), lib.nn.Tanh(), lib.nn.Linear(3, 2))
        whole = lib.optim.Adam(net.parameters(), 0.1)
        own = {p: whole if single else lib.optim.Adam([p], 0.1) for p in net.parameters()}

        def step(p):
            own[p].step()
            own[p].zero_grad()

        for p in net.parameters():
            p.register_post_accumulate_grad_hook(step)
        losses = []
        for _ in range(4):
            loss = (net(lib.ones(2, 3)) ** 2).sum()
            loss.backward()
            losses.append(loss.item())
        return losses, *net.parameters()

    same(run)


def test_a_step_inside_a_pass_adds_no_plans():
    ours.manual_seed(0)
    net = ours.nn.Linear(3, 2)
    own = {p: ours.optim.Adam([p], 0.1) for p in net.parameters()}

    def update(p):
        own[p].step()
        own[p].zero_grad()

    for p in net.parameters():
        p.register_post_accumulate_grad_hook(update)
    counts = []
    for _ in range(8):
        (net(ours.ones(2, 3)) ** 2).sum().backward()
        counts.append(ours.asg.stats()["plans"])
    assert counts[4] == counts[7]


def test_inputs_and_gradients_that_do_not_fit():
    def run(lib):
        a, b = vector(lib, 1, 2), lib.ones(1)
        refused = [
            lambda: (a * 2).sum().backward(inputs=[]),
            lambda: (a * 2).sum().backward(inputs=[b]),
            lambda: lib.autograd.backward([a * 2, a * 3], [lib.ones(2)]),
        ]
        for call in refused:
            with pytest.raises(RuntimeError):
                call()
        with pytest.raises(RuntimeError), pytest.warns(FutureWarning):
            lib.autograd.backward((a * 2).sum(), grad_tensors=lib.ones(()), grad_variables=lib.ones(()))
        return a.grad is None

    same(run)


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("kind", ["leaf", "result", "constant"])
def test_a_gradient_that_goes_through_unchanged_is_the_tensor_given(kind, create):
    def run(T):
        x, z = (T.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
        g = T.tensor([3.0, 4.0], requires_grad=kind != "constant")
        g = g * 2 if kind == "result" else g
        one = T.autograd.grad(x, x, g, create_graph=create)[0]
        two = T.autograd.grad(x + z, [x, z], g, create_graph=create)
        found = [one is g, two[0] is g, two[1] is g, one.requires_grad]
        if create and kind != "constant":
            found += T.autograd.grad((one * two[0]).sum(), g)
        return found

    same(run)


def test_gradcheck_of_results_that_lie_in_columns():
    """Its directions were zero for them."""

    def run(T):
        x = T.arange(12.0, dtype=T.float64).view(3, 4).requires_grad_()
        return [T.autograd.gradcheck(lambda x: x.as_strided((4, 3), (1, 4)), x), T.autograd.gradgradcheck(lambda x: x.t() * 1.0, x)]

    same(run)
