"""Names that packages written for PyTorch look up when they are imported."""

from collections import namedtuple

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg.utils import _pytree as pytree


@pytest.mark.parametrize(
    ("name", "eps", "largest", "smallest"),
    [
        ("float8_e4m3fn", 0.125, 448.0, -448.0),
        ("float8_e4m3fnuz", 0.125, 240.0, -240.0),
        ("float8_e5m2", 0.25, 57344.0, -57344.0),
        ("float8_e5m2fnuz", 0.125, 57344.0, -57344.0),
        ("float8_e8m0fnu", 1.0, 2.0**127, 2.0**-127),
    ],
)
def test_small_floats_are_named_and_have_limits(name, eps, largest, smallest):
    d = getattr(torch, name)
    limits = torch.finfo(d)
    assert repr(d) == f"torch.{name}" and d.itemsize == 1 and d.is_floating_point
    assert (limits.bits, limits.eps, limits.max, limits.min) == (8, eps, largest, smallest)
    for make in (lambda: torch.zeros(2, dtype=d), lambda: torch.ones(2).to(d), lambda: torch.tensor([1.0], dtype=d)):
        with pytest.raises(NotImplementedError, match=f"torch.{name} can be named"):
            make()


def test_wide_unsigned_integers_are_named_and_have_limits():
    for bits in (16, 32, 64):
        d = getattr(torch, f"uint{bits}")
        assert torch.iinfo(d).max == 2**bits - 1 and torch.iinfo(d).min == 0 and torch.iinfo(d).bits == bits and not d.is_signed
        with pytest.raises(NotImplementedError, match="int32 or int64"):
            torch.zeros(2, dtype=d)


def test_types_of_quantised_tensors_are_named():
    for name, size, low, high in (
        ("qint8", 1, -128, 127),
        ("quint8", 1, 0, 255),
        ("qint32", 4, -(2**31), 2**31 - 1),
        ("quint4x2", 1, 0, 255),
    ):
        d = getattr(torch, name)
        assert repr(d) == f"torch.{name}" and d.itemsize == size and (torch.iinfo(d).min, torch.iinfo(d).max) == (low, high)
        with pytest.raises(NotImplementedError, match=name):
            torch.zeros(2, dtype=d)


def test_nothing_is_traced():
    assert not isinstance(torch.ones(2), torch.fx.Proxy) and not isinstance(torch.nn.Linear(1, 1), torch.fx.GraphModule)
    assert torch.fx.wrap(len) is len and torch._C._get_tracing_state() is None
    with pytest.raises(NotImplementedError, match="explain"):
        torch.fx.symbolic_trace(torch.nn.Linear(1, 1))
    assert not hasattr(torch._C, "_jit_set_profiling_executor")


def test_settings_of_a_compiler_are_remembered():
    torch._dynamo.config.suppress_errors = True
    torch._inductor.config.max_autotune = True
    assert torch._dynamo.config.suppress_errors and torch._inductor.config.max_autotune
    torch._dynamo.mark_dynamic(torch.ones(2), 0)
    torch._dynamo.reset()


def test_the_viewer_is_a_part_of_the_package():
    assert callable(torch.viewer.attach)


def test_paths_of_leaves():
    tree = {"a": [1, (2, 3)], "b": 4}
    found, spec = pytree.tree_flatten_with_path(tree)
    assert [(pytree.keystr(path), leaf) for path, leaf in found] == [("['a'][0]", 1), ("['a'][1][0]", 2), ("['a'][1][1]", 3), ("['b']", 4)]
    assert pytree.tree_unflatten([leaf for _, leaf in found], spec) == tree
    assert pytree.tree_map_with_path(lambda path, x, y: (len(path), x + y), {"a": 1}, {"a": 2}) == {"a": (1, 3)}


def test_a_registered_type_names_its_children():
    class Pair:
        def __init__(self, left, right):
            self.left, self.right = left, right

    pytree.register_pytree_node(
        Pair,
        lambda p: ([p.left, p.right], None),
        lambda children, _: Pair(*children),
        flatten_with_keys_fn=lambda p: ([(pytree.GetAttrKey("left"), p.left), (pytree.GetAttrKey("right"), p.right)], None),
    )
    assert [pytree.keystr(path) for path, _ in pytree.tree_flatten_with_path([Pair(1, 2)])[0]] == ["[0].left", "[0].right"]


def test_collectives_with_gradients_need_a_group():
    from torchlike_asg.distributed import nn as collectives

    with pytest.raises(ValueError, match="process group has not been initialized"):
        collectives.all_reduce(torch.ones(2))


def test_frozen_batch_norm_reads_a_trained_layer():
    trained = torch.nn.BatchNorm2d(3)
    trained(torch.randn(4, 3, 5, 5))
    frozen = torch.vision.ops.FrozenBatchNorm2d(3)
    frozen.load_state_dict(trained.state_dict())
    x = torch.randn(2, 3, 5, 5)
    assert torch.allclose(frozen(x), trained.eval()(x), atol=1e-5) and not list(frozen.parameters())
    assert repr(frozen) == "FrozenBatchNorm2d(3, eps=1e-05)"


def test_one_number_for_every_example_indexes_under_vmap():
    table = torch.arange(12.0).reshape(3, 4)
    rows, columns = torch.tensor([2, 0, 1]), torch.tensor([1, 3, 0])
    assert torch.vmap(lambda i, j: table[i, j])(rows, columns).tolist() == [9.0, 3.0, 4.0]
    assert torch.vmap(lambda i: table[i])(rows).tolist() == table[rows].tolist()
    assert torch.vmap(lambda i: table[:, i])(columns).tolist() == table[:, columns].t().tolist()


def test_arrays_of_other_libraries_share_memory():
    array = np.arange(3.0)
    taken = torch.from_dlpack(array)
    taken[0] = 5
    assert array[0] == 5
    given = torch.arange(4.0)
    torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(given))[1] = 9
    assert given.tolist() == [0.0, 9.0, 2.0, 3.0] and np.from_dlpack(given)[1] == 9 and given.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError, match="require gradient"):
        np.from_dlpack(torch.ones(2, requires_grad=True))


def test_a_product_of_thin_matrices_is_found_by_random_projections():
    torch.manual_seed(0)
    x = torch.randn(30, 4) @ torch.randn(4, 20)
    for made in (x, x.t()):
        u, s, v = torch.svd_lowrank(made, q=4)
        assert torch.allclose(u * s @ v.t(), made, atol=1e-3)
        assert torch.allclose(s, torch.linalg.svdvals(made)[:4], rtol=1e-4)
    u, s, v = torch.pca_lowrank(x, q=4)
    assert torch.allclose(u * s @ v.t(), x - x.mean(0), atol=1e-3)
    with pytest.raises(ValueError, match="not greater than"):
        torch.pca_lowrank(x, q=21)


def test_functions_of_ones_own_are_asked_for():
    class Own:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return None

    assert torch.overrides.has_torch_function((1, Own())) and not torch.overrides.has_torch_function((torch.ones(1),))
    assert torch.overrides.is_tensor_like(Own()) and torch.overrides.is_tensor_like(torch.ones(1)) and not torch.overrides.is_tensor_like(1)
    assert torch.overrides.is_tensor_method_or_property(torch.Tensor.relu) and not torch.overrides.is_tensor_method_or_property(len)
    with pytest.raises(NotImplementedError, match="cannot be entered"), torch.overrides.TorchFunctionMode():
        pass


def test_symbols_fakes_and_readers_have_no_instances():
    assert not isinstance(3, torch.SymInt) and torch.chalf.is_complex and "NumPy" in torch.__config__.show()
    for make in (
        torch.SymInt,
        torch.PyTorchFileReader,
        torch._subclasses.FakeTensor,
        torch._subclasses.FakeTensorMode,
    ):
        with pytest.raises(NotImplementedError):
            make()


def test_iterators_of_loaders_are_told_apart():
    from torchlike_asg.utils.data import dataloader

    one = iter(torch.utils.data.DataLoader(range(3)))
    assert isinstance(one, dataloader._BaseDataLoaderIter) and isinstance(one, dataloader._SingleProcessDataLoaderIter)
    assert not isinstance(one, dataloader._MultiProcessingDataLoaderIter)


def test_what_packages_make_or_ask_for_whether_or_not_they_use_it():
    from torchlike_asg.utils.data import dataloader
    from torchlike_asg.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False, depth=2)
    assert counter.get_total_flops() == 0 and counter.get_flop_counts() == {}
    assert not isinstance(torch.nn.Linear(1, 1), torch._dynamo.eval_frame.OptimizedModule)
    assert dataloader._collate_fn_t and dataloader._worker_init_fn_t


def test_named_tuples_are_taken_apart_by_functions_that_packages_register_for_their_own():
    Point = namedtuple("Point", "x y")
    values, context = pytree._namedtuple_flatten(Point(1, 2))
    assert values == [1, 2] and pytree._namedtuple_unflatten([3, 4], context) == Point(3, 4)


def test_vmap_is_found_where_older_packages_import_it_from():
    from torchlike_asg._vmap_internals import _vmap

    assert _vmap(torch.sum)(torch.ones(2, 3)).tolist() == [3.0, 3.0]


def test_a_wrapper_of_an_optimizer_that_makes_no_base_takes_its_steps():
    class Wrapper(torch.optim.Optimizer):
        def __init__(self, inner):
            self.inner = inner
            self._patch_step_function()

        @property
        def param_groups(self):
            return self.inner.param_groups

        def step(self, closure=None):
            return self.inner.step(closure)

    p = torch.nn.Parameter(torch.ones(2))
    o = Wrapper(torch.optim.SGD([p], lr=0.5))
    p.sum().backward()
    o.step()
    assert p.tolist() == [0.5, 0.5] and torch._C._is_tracing() is False
