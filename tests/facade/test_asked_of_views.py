"""What was asked of a tensor that is a view, or was written, holds when the iteration in which it was asked has ended."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402


def same(run):
    assert run(ours) == run(torch)


@pytest.mark.parametrize("view", [lambda x: x[1:], lambda x: x.view(2, 2), lambda x: x.view(4), lambda x: x[None].expand(2, 4)])
def test_hooks_and_kept_gradients_of_a_view_of_a_leaf_outlive_an_iteration(view):
    def run(T):
        seen = []
        x = T.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
        for _ in range(2):
            v = view(x)
            v.register_hook(lambda g: seen.append(g.sum().item()))
            v.retain_grad()
            other = T.ones(3).add_(1)
            seen.append(other.tolist())  # ends the iteration: no result has a history
            (v * v).sum().backward()
            seen.append((v.grad.tolist(), x.grad.tolist()))
            x.sum().backward()  # does not go through the view
        return seen

    same(run)


def test_a_hook_stays_where_a_write_through_data_left_the_history():
    def run(T):
        seen = []
        y = T.ones(3, requires_grad=True).sum()
        z = y.data
        z.mul_(2)
        y.register_hook(lambda g: seen.append(g.item()))
        y.retain_grad()
        z.mul_(2)
        (y * 3).sum().backward()
        return seen, y.grad.item()

    same(run)


def test_leaves_that_want_no_gradient_any_more():
    def run(T):
        x = T.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        x.requires_grad_(False)
        y.sum().backward()
        before = x.grad
        z = T.tensor([1.0, 2.0], requires_grad=True)
        z.sum().backward()
        z.detach_()
        return before, z.grad.tolist(), z.requires_grad

    same(run)


def test_a_leaf_is_given_a_pending_copy_of_itself():
    def run(T):
        out = []
        for _ in range(2):
            x = T.tensor([[-1.0, 1.0], [2.0, 3.0]], requires_grad=True)
            y = x - x
            x.data = x.detach().clone()
            x.sum().backward()
            out.append((x.grad.tolist(), y.tolist(), x.tolist()))
        return out

    same(run)


def test_a_leaf_is_set_without_gradients():
    def run(T):
        x = T.tensor([1.0, 2.0], requires_grad=True)
        x.sum().backward()
        with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
            x.set_(T.ones(2))
        with T.no_grad():
            x.set_(T.full((2,), 3.0))
        (x * x).sum().backward()
        return x.tolist(), x.grad.tolist(), x.is_leaf, x._version

    same(run)


def test_parts_that_are_not_noticed_to_share_memory():
    def run(T):
        x = T.arange(4.0).requires_grad_() * 1
        parts = T.unsafe_split(x, 2), T.unsafe_chunk(x, 2), x.unsafe_split(2)
        names = [(p.grad_fn.name(), p.output_nr) for group in parts for p in group]
        parts[0][0].mul_(2)
        (parts[0][0] * parts[1][1]).sum().backward()
        return names

    same(run)


@pytest.mark.parametrize(
    "several",
    [
        lambda T, a: T.linalg.qr(a),
        lambda T, a: T.linalg.svd(a),
        lambda T, a: T.linalg.slogdet(a),
        lambda T, a: T.linalg.eigh(a + a.mT),
        lambda T, a: T.var_mean(a, 0),
        lambda T, a: T.aminmax(a),
        lambda T, a: T.linalg.lu(a),
        lambda T, a: a.split([1, 2]),
        lambda T, a: a.tensor_split(2),
        lambda T, a: T.hsplit(a, 3),
        lambda T, a: a.unbind(),
    ],
)
def test_which_result_of_its_step_a_tensor_is(several):
    def run(T):
        found = []
        for _ in range(3):
            a = (T.eye(3) * 2 + T.arange(9.0).reshape(3, 3) / 9).requires_grad_()
            found += [(r.grad_fn and r.grad_fn.name(), r.output_nr) for r in several(T, a)]
        return found

    same(run)


def test_messages_name_the_function_and_the_place():
    def run(T):
        x, y = T.ones(2, requires_grad=True), T.ones(2, requires_grad=True)
        said = []
        for call in (lambda: T.mul(x, y, out=T.empty(2)), lambda: T.autograd.grad(x.sum(), [x, y])):
            with pytest.raises(RuntimeError) as caught:
                call()
            said.append(str(caught.value))
        return said

    same(run)


@pytest.mark.parametrize("used", (False, True))
@pytest.mark.parametrize("part", (0, 1, slice(0, 1)))
def test_data_of_a_leaf_that_is_a_view(used, part):
    """A parameter that is a column of something is given a column of something else, whether what it was has been used or not."""
    found = []
    for lib in (torch, ours):
        p = lib.nn.Parameter(lib.arange(12.0).reshape(2, 3, 2)[..., part])
        optimizer, out = lib.optim.Adam([p], 0.1), []
        for step in range(3):
            before = (p * p).sum() if used else 0
            p.data = (lib.ones(2, 3, 2) * (step + 3))[..., part]
            loss = (p**3).sum() + 0 * before
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            out += [loss.item(), *p.grad.flatten().tolist(), *p.flatten().tolist(), p[0].sum().item()]
        found.append(out)
    assert found[1] == pytest.approx(found[0], rel=1e-6)


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
@pytest.mark.parametrize("name", ["unsafe_split", "unsafe_chunk"])
@pytest.mark.parametrize("read", [False, True])
def test_parts_of_a_leaf_are_results_of_their_own(lib, name, read):
    """Reading one in between makes it no view of the leaf; both share memory."""
    leaf = lib.arange(4.0, requires_grad=True)
    a, b = getattr(leaf, name)(2)
    if read:
        assert a.sum().item() == 1.0
    a.mul_(3)
    assert (a.tolist(), leaf.tolist(), a._base, a.is_leaf) == ([0.0, 3.0], [0.0, 3.0, 2.0, 3.0], None, False)
    (a * b).sum().backward()
    assert leaf.grad.tolist() == [6.0, 9.0, 0.0, 3.0]


@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_a_result_nobody_viewed_has_no_gradient_yet():
    assert (ours.ones(2, requires_grad=True) * 2).grad is None


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("form", [lambda v: v, lambda v: v.unsqueeze(0)])
@pytest.mark.parametrize("write", [lambda y, v: y.data.mul_(2), lambda y, v: v.data.mul_(2), lambda y, v: y.detach().data.mul_(2)])
def test_a_view_is_asked_for_the_gradient_of_what_was_made_of_it_before_a_write_through_data(write, form, read):
    def run(T):
        found = []
        for _ in range(4):
            w = T.ones(3, requires_grad=True)
            y = w * 2
            v = form(y[:2])
            before = (v * 3).sum()
            write(y, v)
            for loss, asked in ((before, [v]), (before + v.sum(), [v, y, w])):
                found += [g.tolist() for g in T.autograd.grad(loss, asked, retain_graph=True)]
                if read:
                    loss.item()
        return found

    same(run)


@pytest.mark.filterwarnings("ignore:The .grad attribute")
@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("base", [lambda w: w, lambda w: w * 2])
def test_a_view_that_alone_is_to_have_a_gradient_keeps_it_itself(base, read):
    def run(T):
        w = base(T.ones(3, requires_grad=True))
        v = w[:2]
        loss = (v * 3).sum()
        if read:
            loss.item()
        loss.backward(inputs=[v], retain_graph=True)
        found = [v.grad.tolist(), w.grad]
        loss.backward(inputs=[v, w])
        return found, v.grad.tolist(), w.grad.tolist()

    same(run)


@pytest.mark.parametrize(
    "make", [lambda b: b[0], lambda b: b.view(3, 2), lambda b: b.t(), lambda b: b[:, 1:], lambda b: b[None], lambda b: b.expand(2, 3)]
)
@pytest.mark.parametrize("base", [lambda w: w * 2, lambda w: w, lambda w: (w * 2)[:]])
def test_equal_views_have_gradients_of_their_own(base, make):
    def run(T):
        found = []
        w = T.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
        b = base(w)
        for _ in range(2):
            first, second = make(b), make(b)
            second.register_hook(lambda g: found.append(g.tolist()))
            first.retain_grad()
            y = (first * first).sum() + second.sum() * 3 + make(b).sum() * 5
            found.extend(g.tolist() for g in T.autograd.grad(y, [first, second, w], retain_graph=True))
            w.grad = None
            y.backward(retain_graph=True)
            found.extend((first.grad.tolist(), w.grad.tolist()))
        return found

    same(run)
