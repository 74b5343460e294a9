"""Which histories a pass enters, what it leaves on the tensors it was asked for, and which writes it notices, against PyTorch."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..facade.compare import same  # noqa: E402


def test_what_a_pass_was_asked_for_keeps_later_gradients():
    def run(T):
        x = T.ones(3, requires_grad=True)
        y = x * 2
        z = y.exp()
        before = y.retains_grad
        z.sum().backward(inputs=[y], retain_graph=True)
        first = y.grad.clone()
        z.sum().backward(retain_graph=True)
        T.autograd.backward([z.sum()], inputs=[z])
        return [first, y.grad, x.grad, z.grad, T.tensor([before, y.retains_grad, z.retains_grad, x.retains_grad])]

    assert not isinstance(same(run), Exception)


def test_a_write_into_a_parameter_is_noticed_where_its_data_was_saved():
    for T in torch, ours:
        x, a = T.ones(2, requires_grad=True), T.ones(2)
        p = T.nn.Parameter(a)
        y = (x * a).sum()
        with T.no_grad():
            p.add_(1)
        assert (a._version, p._version) == (1, 1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.backward()
        w = (p * p).sum()
        a.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            w.backward()


@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("types", [("float32", "bfloat16"), ("bfloat16", "float32"), ("bfloat16", "bfloat16"), ("float16", "float16")])
def test_divergence_rounds_each_step_in_its_own_type(types, log_target):
    def run(T):
        x, y = (T.tensor([[-0.3 * k, -1.7, -2.25 / k], [-1.1, -0.6 * k, -3.3]]) for k in (1, 2))
        x = x.to(getattr(T, types[0])).requires_grad_()
        y = (y if log_target else y.exp()).to(getattr(T, types[1])).requires_grad_()
        loss = T.nn.functional.kl_div(x, y, reduction="none", log_target=log_target)
        loss.sum().backward()
        return [loss.detach(), x.grad, y.grad]

    for expected, found in zip(run(torch), run(ours), strict=True):
        assert str(expected.dtype).split(".")[-1] == found.dtype.name
        limit = 1e-6 if found.dtype is ours.float32 else 0  # a rounding of float32 is less than any of halves
        assert abs(found.double().numpy() - expected.double().numpy()).max() <= limit


def test_a_number_has_no_chunks():
    for T in torch, ours:
        with pytest.raises(RuntimeError, match="at least a 1-dimensional tensor"):
            T.tensor(1.0).chunk(2)
