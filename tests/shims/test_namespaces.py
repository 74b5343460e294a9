"""Names that scripts touch in passing: switches of the compiler, custom operations, functions that are methods elsewhere."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import same  # noqa: E402

CASES = {
    "compiler": lambda T: [T.compiler.is_compiling(), T.compiler.disable(lambda x: x + 1)(1), T.compiler.disable()(lambda: 3)()],
    "methods as functions": lambda T: [T.zero_(T.ones(2)), T.fill_(T.ones(2), 3), T.detach(T.ones(1, requires_grad=True))],
    "unsafe chunks": lambda T: [T.unsafe_chunk(T.arange(4), 2), T.unsafe_split(T.arange(4), 3)],
    "anomaly": lambda T: [T.is_anomaly_enabled(), T.set_anomaly_enabled(True), T.is_anomaly_enabled(), T.set_anomaly_enabled(False)],
    "scaler": lambda T: [T.GradScaler("cpu", enabled=False).is_enabled(), T.GradScaler is T.amp.GradScaler, T.autocast is not None],
    "versions": lambda T: [T.version.cuda, T.version.hip, T.version.debug],
    "errors": lambda T: [issubclass(T.OutOfMemoryError, RuntimeError), T.OutOfMemoryError is T.cuda.OutOfMemoryError],
    "handles": lambda T: isinstance(T.nn.ReLU().register_forward_hook(print), T.utils.hooks.RemovableHandle),
    "pytrees": lambda T: T.utils._pytree.tree_map(lambda v: v * 2, {"a": [1, (2, 3)], "b": 4}),
    "vmap": lambda T: T.vmap(T.sum)(T.ones(2, 3)),
}


@pytest.mark.parametrize("case", CASES)
def test_as_in_pytorch(case):
    import torch.utils._pytree  # noqa: F401

    same(CASES[case])


def test_several_gradients_at_once():
    def run(T):
        a, b = T.ones(2, requires_grad=True), T.full((2,), 3.0, requires_grad=True)
        seen = []
        handle = T.autograd.graph.register_multi_grad_hook((a, b), lambda grads: seen.append([g.tolist() for g in grads]))
        (a * b).sum().backward()
        (a * b * 2).sum().backward()
        handle.remove()
        (a * b).sum().backward()
        return seen, T.autograd.graph.get_gradient_edge(a * 2).output_nr

    same(run)


def test_retains_grad_after_a_backward_pass():
    def run(T):
        x = T.ones(2, requires_grad=True)
        y = x * 2
        before = y.retains_grad
        y.retain_grad()
        y.sum().backward()
        return before, y.retains_grad, y.grad

    same(run)


def test_a_custom_operation():
    @ours.library.custom_op("tests::cube", mutates_args=())
    def cube(x: ours.Tensor) -> ours.Tensor:
        return x * x * x

    x = ours.tensor([1.0, 2.0], requires_grad=True)
    cube(x).sum().backward()
    assert x.grad.tolist() == [3.0, 12.0]

    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    cube.register_autograd(lambda ctx, g: g * 100 * ctx.saved_tensors[0], setup_context=setup_context)
    cube.register_fake(lambda x: ours.empty_like(x))
    x.grad = None
    cube(x).sum().backward()
    assert x.grad.tolist() == [100.0, 200.0]


@pytest.mark.parametrize("name", ["quantize_per_tensor", "monitor", "nested"])
def test_what_is_not_here_says_what_to_use(name):
    assert not hasattr(ours, name)
    with pytest.raises(NotImplementedError, match="use "):
        getattr(ours, name)


def test_an_unknown_operation_is_refused():
    with pytest.raises(NotImplementedError, match="custom_op"):
        ours.library.register_autograd("tests::nothing", print)
    with pytest.raises(NotImplementedError, match="custom_op"):
        ours.library.opcheck  # noqa: B018
