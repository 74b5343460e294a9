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
