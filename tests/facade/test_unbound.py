"""Functions that are attributes of classes are called without the instance, as PyTorch's, which are built in."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402


def results(T):
    F = T.nn.functional

    class Net(T.nn.Module):
        activation, make, convolve, joined, project, largest = T.tanh, T.zeros, T.conv2d, T.cat, F.linear, T.max

        def forward(self, x):
            kernel = T.ones(1, 1, 2, 2)
            found = [self.activation(x), self.make(2), self.convolve(x[None, None], weight=kernel), self.joined([x, x]), self.project(x, x)]
            return [*found, *self.largest(x, 0)]

    net = Net()
    x = T.arange(9.0).reshape(3, 3)
    return [[t.tolist() for t in net(x)] for _ in range(2)], Net.activation is T.tanh


def test_the_instance_is_no_argument():
    want, got = results(torch), results(ours)
    assert got[1] and want[1]
    for a, b in zip(want[0], got[0], strict=True):
        torch.testing.assert_close([torch.tensor(t) for t in b], [torch.tensor(t) for t in a])


def test_what_is_wrong_stays_wrong():
    class Net:
        activation = ours.tanh

    net = Net()
    for call in (lambda: net.activation(), lambda: net.activation(1), lambda: ours.tanh(net)):
        with pytest.raises(TypeError):
            call()
    assert net.activation(ours.zeros(2)).tolist() == [0, 0]


@pytest.mark.parametrize("T", [torch, ours], ids=["torch", "ours"])
def test_an_assertion_reads_the_value(T):
    assert T._assert_async(T.ones(1) * 2) is None
    for call, words in (
        (lambda: T._assert_async(T.zeros(1) * 2, "no zeros"), "no zeros"),
        (lambda: T._assert_async(T.zeros(())), "zero"),
        (lambda: T._assert_async(T.zeros(2)), "ambiguous"),
    ):
        with pytest.raises(RuntimeError, match=words):
            call()
    with pytest.raises(TypeError, match="must be Tensor, not bool"):
        T._assert_async(True)


@pytest.mark.parametrize("T", [torch, ours], ids=["torch", "ours"])
def test_whether_a_transform_is_active(T):
    seen = []

    def f(x):
        seen.append(T._C._are_functorch_transforms_active())
        return x

    f(T.ones(()))
    T.func.vmap(f)(T.ones(2))
    T.func.grad(f)(T.ones(()))
    assert seen == [False, True, True]
