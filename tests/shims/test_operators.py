"""Names of operators, of futures, and of what several processes would need: packages look them up when they are imported."""

import threading

import pytest

import torchlike_asg as torch
from torchlike_asg import _tensor_str, distributed, futures


def test_an_operator_calls_the_function_of_its_name():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = torch.ops.aten.mul.Tensor(torch.ops.aten.relu(x), 3)
    y.sum().backward()
    assert y.tolist() == [3.0, 0.0] and x.grad.tolist() == [3.0, 0.0]
    assert torch.ops.aten.add_.Tensor(torch.ones(2), 1).tolist() == [2.0, 2.0]
    assert torch.ops.aten.layer_norm.default(torch.ones(2), (2,)).tolist() == [0.0, 0.0]


def test_operators_are_keys_of_tables():
    table = {torch.ops.aten.cat.default: 1, torch.ops.aten._to_copy.default: 2}
    assert table[torch.ops.aten.cat.default] == 1 and table[torch.ops.aten._to_copy.default] == 2
    assert repr(torch.ops.aten.add.Tensor) == "<OpOverload(op='aten.add', overload='Tensor')>"
    assert repr(torch.ops.aten.add) == "<OpOverloadPacket(op='aten.add')>"
    with pytest.raises(NotImplementedError, match="internal to PyTorch"):
        torch.ops.aten._to_copy.default(torch.ones(2))


def test_custom_operations_have_a_place():
    @torch.library.custom_op("tests_of_operators::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    assert torch.ops.tests_of_operators.twice(torch.ones(2)).tolist() == [2.0, 2.0]
    assert torch.ops.tests_of_operators.twice.default(torch.ones(1)).tolist() == [2.0]
    assert not hasattr(torch.ops.tests_of_operators, "thrice") and not hasattr(torch.ops, "torch_sparse")


def test_custom_operations_with_a_gradient_take_arguments_as_python_functions_do():
    @torch.library.custom_op("tests_of_operators::scaled", mutates_args=())
    def scaled(x: torch.Tensor, by: float = 3.0, *, plus: float = 0.0) -> torch.Tensor:
        return x * by + plus

    seen = []

    def setup_context(ctx, inputs, keyword_only_inputs, output):
        ctx.by = inputs[1]
        seen.append((inputs[1:], keyword_only_inputs, output.shape))

    def backward(ctx, grad):
        seen.append(ctx.needs_input_grad)
        return grad * ctx.by, None

    scaled.register_autograd(backward, setup_context=setup_context)
    x = torch.ones(2, requires_grad=True)
    (scaled(x) + torch.ops.tests_of_operators.scaled(x, plus=1.0, by=2.0)).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]
    assert seen[:2] == [((3.0,), {"plus": 0.0}, (2,)), ((2.0,), {"plus": 1.0}, (2,))]
    assert seen[2:] == [(True, False)] * 2
    with pytest.raises(TypeError):
        scaled(x, times=2.0)


def test_gradients_of_a_list_of_arguments_are_a_list():
    @torch.library.custom_op("tests_of_operators::weighted", mutates_args=())
    def weighted(x: torch.Tensor, parts: list[torch.Tensor], n: int) -> tuple[torch.Tensor, torch.Tensor]:
        return x * n, parts[0] + parts[1]

    seen = []

    def backward(ctx, a, b):
        seen.append(ctx.needs_input_grad)
        return a * 3, [b, b * 2], None

    weighted.register_autograd(backward)
    x, p, q = torch.ones(2, requires_grad=True), torch.ones(1, requires_grad=True), torch.ones(1)
    y, z = weighted(x, [p, q], 3)
    (y.sum() + z.sum()).backward()
    assert x.grad.tolist() == [3.0, 3.0] and p.grad.tolist() == [1.0] and seen == [(True, (True, False), False)]


def test_an_operation_that_reads_values_is_mapped_by_its_own_rule_and_writes_are_counted():
    @torch.library.custom_op("tests_of_operators::halved", mutates_args=())
    def halved(x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.numpy() / 2)

    assert halved.register_vmap(lambda info, in_dims, x: (halved(x), in_dims[0]))
    assert torch.func.vmap(halved)(torch.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist() == [[0.5, 1.0], [1.5, 2.0]]

    @torch.library.custom_op("tests_of_operators::increase", mutates_args=("x",))
    def increase(x: torch.Tensor) -> None:
        x.numpy()[...] += 1

    x = torch.zeros(2)
    increase(x)
    assert x.tolist() == [1.0, 1.0] and x._version == 1


def test_operations_defined_by_a_schema():
    library = torch.library.Library("tests_of_operators", "FRAGMENT")
    assert library.define("double(Tensor x) -> Tensor") == "double"
    with pytest.raises(NotImplementedError, match="nothing was given"):
        torch.ops.tests_of_operators.double(torch.ones(1))
    library.impl("double", lambda x: x * 2, "CPU")
    library.impl("double", lambda x: x * 3, "CUDA")
    assert torch.ops.tests_of_operators.double(torch.ones(1)).tolist() == [2.0]
    assert torch.library.define("tests_of_operators::raise_", "(Tensor(a!) x, float by) -> ()") is None

    @torch.library.impl("tests_of_operators::raise_", "CompositeExplicitAutograd")
    def raise_(x, by):
        x.add_(by)

    assert torch.library.impl("tests_of_operators::raise_", "CUDA", raise_) is None
    x = torch.zeros(1)
    torch.ops.tests_of_operators.raise_(x, 2.0)
    assert x.item() == 2.0 and x._version == 1
    with pytest.raises(NotImplementedError, match="own operations are not dispatched"):
        torch.library.Library("aten", "IMPL")
    with pytest.raises(ValueError, match="schema"):
        torch.library.define("nowhere", "(Tensor x) -> Tensor")


def test_names_that_annotations_and_tracers_use():
    assert not any(isinstance(torch.ones(2), kind) for kind in (torch._C.Graph, torch._C.Node, torch._C.Value))
    torch._assert(True, "never said")
    with pytest.raises(AssertionError, match="said"):
        torch._assert(torch.ones(2).sum() == 1, "said")


def test_scans():
    from torchlike_asg._higher_order_ops.associative_scan import associative_scan
    from torchlike_asg._higher_order_ops.scan import scan

    x = torch.randn(3, 7, requires_grad=True)
    assert torch.equal(associative_scan(torch.maximum, x, dim=1), x.cummax(1).values)
    assert torch.allclose(associative_scan(torch.add, x, dim=-1, reverse=True), x.flip(1).cumsum(1).flip(1), atol=1e-6)

    def linear(left, right):  # h -> a h + b, one after the other
        return left[0] * right[0], left[1] * right[0] + right[1]

    a, b = torch.rand(7, 3, requires_grad=True), torch.randn(7, 3)
    states = []
    for i in range(7):
        states.append(a[i] * states[-1] + b[i] if states else b[i])
    looped = torch.stack(states)
    for mode in ("pointwise", "generic"):
        assert torch.allclose(associative_scan(linear, (a, b), 0, combine_mode=mode)[1], looped, atol=1e-6)
    last, outputs = scan(lambda h, each: (each[0] * h + each[1],) * 2, torch.zeros(3), (a, b))
    assert torch.allclose(outputs, looped, atol=1e-6) and torch.equal(last, outputs[-1])
    (wanted,) = torch.autograd.grad(looped.sum(), a)
    for found in (associative_scan(linear, (a, b), 0)[1], outputs):
        assert torch.allclose(torch.autograd.grad(found.sum(), a)[0], wanted, atol=1e-5)
    last, outputs = scan(lambda h, each: (h + each, h), torch.tensor(0.0), torch.arange(3.0), reverse=True)
    assert last.item() == 3.0 and outputs.tolist() == [3.0, 2.0, 0.0]
    with pytest.raises(ValueError, match="one length"):
        scan(lambda h, each: (h, h), x, (a, b[:2]))
    with pytest.raises(ValueError, match="combine_mode"):
        associative_scan(torch.add, x, 0, combine_mode="fast")
    with pytest.raises(ValueError, match="length 0"):
        scan(lambda h, each: (h, h), x, a[:0])


def test_futures():
    f = futures.Future()
    doubled = f.then(lambda g: 2 * g.value())
    failed = f.then(lambda g: 1 // 0)
    assert not doubled.done()
    with pytest.raises(RuntimeError, match="not completed"):
        f.value()
    threading.Timer(0.01, f.set_result, (21,)).start()
    assert futures.wait_all([doubled, f]) == [42, 21]
    with pytest.raises(ZeroDivisionError):
        failed.wait()
    with pytest.raises(RuntimeError, match="completed"):
        f.set_result(1)
    assert futures.collect_all([]).wait() == []


def test_printing_options_are_those_in_force():
    torch.set_printoptions(precision=2)
    try:
        assert _tensor_str.PRINT_OPTS.precision == 2
        assert _tensor_str._tensor_str(torch.tensor([0.125, 2.0]), 0) == "[0.12, 2.00]"
    finally:
        torch.set_printoptions(profile="default")
    assert _tensor_str.PRINT_OPTS.precision == 4


def test_nothing_is_spread_over_processes():
    from torchlike_asg.distributed import optim, rpc, tensor

    assert not rpc.is_available() and not isinstance(torch.ones(2), tensor.DTensor)
    assert issubclass(optim.ZeroRedundancyOptimizer, torch.optim.Optimizer) and tensor.DeviceMesh is distributed.DeviceMesh
    for make in (optim.ZeroRedundancyOptimizer, tensor.DTensor, tensor.distribute_tensor, tensor.distribute_module):
        with pytest.raises(NotImplementedError, match="several processes"):
            make(torch.ones(2))


def test_classes_that_are_no_tensors_of_ours_may_disable_overriding():
    assert torch._C._disabled_torch_function_impl(max, (), (1, 2)) == 2
    assert torch.jit._overload(len) is len and torch.jit._overload_method(len) is len


def test_names_for_annotations():
    types = torch.types
    assert types._dtype is torch.dtype and types._device is torch.device and types._int is int and types._bool is bool
    assert isinstance(1.5, types.Number) and isinstance(2, types._Number) and not isinstance("2", types.Number)


def test_an_optimizer_may_be_a_wrapper_of_another():
    """It inherits for the sake of `isinstance`, and never calls ``super().__init__()``."""

    class Wrapper(torch.optim.Optimizer):
        def __init__(self, optimizer):
            self.optimizer = optimizer

        def step(self, closure=None):
            return self.optimizer.step(closure)

    p = torch.nn.Parameter(torch.ones(2))
    (p * p).sum().backward()
    Wrapper(torch.optim.SGD([p], lr=0.25)).step()
    assert p.tolist() == [0.5, 0.5]


def test_a_batch_is_not_spread_over_devices():
    from torchlike_asg.nn.parallel import scatter_gather

    for name in scatter_gather.__all__:
        with pytest.raises(NotImplementedError, match=f"nn.parallel.{name}"):
            getattr(scatter_gather, name)([torch.ones(2)], [0])
