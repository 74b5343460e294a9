"""Uniform and normal draws against torch: values and state bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.rng import Engine, draws

FLOATS = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16)
SIZES = (1, 2, 15, 16, 17, 31, 32, 33, 100, 1000, 5003)
BOUNDS = ((0.0, 1.0), (-1.0, 1.0), (-0.37, 0.11), (3.0, 3.0), (1e-3, 1.7e4), (-6e4, 5e3))

Compare = Callable[..., None]
Named = Callable[[dtypes.dtype], Any]


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_uniform(way: str, compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    for size in SIZES:
        for low, high in BOUNDS:
            compare(
                lambda e, size=size, low=low, high=high: draws.uniform(e, (size,), None, dtype, low, high),
                lambda g, size=size, low=low, high=high: torch.empty(size, dtype=torch_dtype(dtype)).uniform_(low, high, generator=g),
                seeds=(0, 2**40 + 123) if way == "numpy" else (1, 42, -1),
            )


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_normal(way: str, compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    for size in SIZES:
        for mean, std in ((0.0, 1.0), (2.5, 0.3), (-1.0, 0.0), (0.0, 1e-3)):
            compare(
                lambda e, size=size, mean=mean, std=std: draws.normal(e, (size,), None, dtype, mean, std),
                lambda g, size=size, mean=mean, std=std: torch.empty(size, dtype=torch_dtype(dtype)).normal_(mean, std, generator=g),
                seeds=(0, 2**31 + 7) if way == "numpy" else (1, 42, -12345),
            )


def test_every_seed(way: str, compare: Compare, torch: Any) -> None:
    compare(lambda e: draws.uniform(e, (1000,), None, dtypes.float32), lambda g: torch.rand(1000, generator=g))
    compare(lambda e: draws.normal(e, (1000,), None, dtypes.float32), lambda g: torch.randn(1000, generator=g))
    compare(lambda e: draws.normal(e, (7,), None, dtypes.float32), lambda g: torch.randn(7, generator=g))


def test_extreme_parameters(way: str, compare: Compare, torch: Any) -> None:
    """Magnitudes at which an emulated fused multiply-add could go wrong."""
    for low, high in ((-1e38, 1e38), (1e-40, 3e-40), (-1e-45, 1e-44), (1.0, 1.0 + 2**-23), (16777215.0, 16777216.0)):
        compare(
            lambda e, low=low, high=high: draws.uniform(e, (300,), None, dtypes.float32, low, high),
            lambda g, low=low, high=high: torch.empty(300).uniform_(low, high, generator=g),
            seeds=(5,),
        )
    for low, high in ((-1e307, 1e307), (1e-310, 1e-300), (0.0, 1e-320), (-1e-200, 1e150), (1.0, 1.0 + 2**-51)):
        compare(
            lambda e, low=low, high=high: draws.uniform(e, (300,), None, dtypes.float64, low, high),
            lambda g, low=low, high=high: torch.empty(300, dtype=torch.float64).uniform_(low, high, generator=g),
            seeds=(5,),
        )
    for mean, std in ((1e-38, 1e-39), (0.0, 1e-44), (1e30, 1e38), (16777216.0, 0.5)):
        compare(
            lambda e, mean=mean, std=std: draws.normal(e, (320,), None, dtypes.float32, mean, std),
            lambda g, mean=mean, std=std: torch.empty(320).normal_(mean, std, generator=g),
            seeds=(5,),
        )


def test_large(compare: Compare, torch: Any) -> None:
    for size in (200_000, 200_003):
        compare(
            lambda e, size=size: draws.normal(e, (size,), None, dtypes.float32), lambda g, size=size: torch.randn(size, generator=g), (3,)
        )
        compare(
            lambda e, size=size: draws.uniform(e, (size,), None, dtypes.float32, -0.1, 0.1),
            lambda g, size=size: torch.empty(size).uniform_(-0.1, 0.1, generator=g),
            (3,),
        )


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "transposed": lambda t: t.empty(7, 5).t(),
    "small transposed": lambda t: t.empty(2, 3).t(),
    "columns": lambda t: t.empty(6, 8)[:, ::2],
    "rows": lambda t: t.empty(9, 4)[::3],
    "channels last": lambda t: t.empty(2, 3, 4, 5).to(memory_format=t.channels_last),
    "permuted": lambda t: t.empty(3, 4, 5).permute(2, 0, 1),
    "size one": lambda t: t.empty(1, 20, 1).transpose(0, 2),
    "size one, odd strides": lambda t: t.empty(40).as_strided((1, 20), (3, 1)),
    "gaps and permuted": lambda t: t.empty(4, 6, 8)[:, 1:5, ::2].permute(1, 2, 0),
    "scalar": lambda t: t.empty(()),
    "empty": lambda t: t.empty(3, 0, 2),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_strides(way: str, compare: Compare, torch: Any, torch_dtype: Named, layout: str) -> None:
    plain = LAYOUTS[layout](torch)
    shape, strides = tuple(plain.shape), plain.stride()

    def tensor(dtype: dtypes.dtype) -> Any:
        return torch.empty(1000, dtype=torch_dtype(dtype)).as_strided(shape, strides)

    for dtype in FLOATS:
        compare(
            lambda e, dtype=dtype: draws.uniform(e, shape, strides, dtype, -2.0, 5.0),
            lambda g, dtype=dtype: tensor(dtype).uniform_(-2.0, 5.0, generator=g).contiguous(),
            (1,),
        )
        compare(
            lambda e, dtype=dtype: draws.normal(e, shape, strides, dtype, 1.0, 2.0),
            lambda g, dtype=dtype: tensor(dtype).normal_(1.0, 2.0, generator=g).contiguous(),
            (1,),
        )


def test_cached_normal_is_shared_and_survives(way: str, torch: Any) -> None:
    engine, generator = Engine(4), torch.Generator().manual_seed(4)
    steps: list[tuple[Callable[[], Any], Callable[[], Any]]] = [
        (lambda: draws.normal(engine, (3,), None, dtypes.float32), lambda: torch.randn(3, generator=generator)),
        (lambda: draws.uniform(engine, (5,), None, dtypes.float32), lambda: torch.rand(5, generator=generator)),
        (lambda: draws.normal(engine, (40,), None, dtypes.float32), lambda: torch.randn(40, generator=generator)),
        (lambda: draws.randint(engine, 0, 9, (4,)), lambda: torch.randint(0, 9, (4,), generator=generator)),
        (lambda: draws.normal(engine, (1,), None, dtypes.float64), lambda: torch.randn(1, dtype=torch.float64, generator=generator)),
        (lambda: draws.log_normal(engine, (1,), None, dtypes.float32), lambda: torch.empty(1).log_normal_(generator=generator)),
        (lambda: draws.normal(engine, (6,), None, dtypes.float32), lambda: torch.randn(6, generator=generator)),
        (lambda: draws.log_normal(engine, (20,), None, dtypes.float32), lambda: torch.empty(20).log_normal_(generator=generator)),
    ]
    for ours, theirs in steps:
        assert ours().tobytes() == theirs().numpy().tobytes()
        assert engine.get_state().tobytes() == generator.get_state().numpy().tobytes()


@pytest.mark.parametrize("dtype", (dtypes.complex64, dtypes.complex128), ids=str)
def test_complex(way: str, compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    kind = torch_dtype(dtype)
    for shape in ((3,), (7,), (8,), (100,)):
        compare(lambda e, s=shape: draws.uniform(e, s, None, dtype), lambda g, s=shape: torch.rand(s, dtype=kind, generator=g), (1, 42))
        compare(lambda e, s=shape: draws.normal(e, s, None, dtype), lambda g, s=shape: torch.randn(s, dtype=kind, generator=g), (1, 42))
    compare(
        lambda e: draws.normal(e, (5, 6), (1, 5), dtype, 1.0, 3.0),
        lambda g: torch.empty(6, 5, dtype=kind).t().normal_(1.0, 3.0, generator=g).contiguous(),
        (1, 42),
    )


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_normal_with_tensors(way: str, compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    kind = torch_dtype(dtype)
    mean, std = torch.linspace(-3, 7, 20).to(kind), torch.linspace(0, 2, 20).to(kind)
    our_mean, our_std = (t.float().numpy() if dtype is dtypes.bfloat16 else t.numpy() for t in (mean, std))
    for size in (5, 20):
        part = slice(0, size)
        compare(
            lambda e, p=part: draws.normal_tensors(e, our_mean[p].shape, dtype, our_mean[p], 1.7),
            lambda g, p=part: torch.normal(mean[p], 1.7, generator=g),
            (0, 3),
        )
        compare(
            lambda e, p=part: draws.normal_tensors(e, our_std[p].shape, dtype, 0.3, our_std[p]),
            lambda g, p=part: torch.normal(0.3, std[p], generator=g),
            (0, 3),
        )
        compare(
            lambda e, p=part: draws.normal_tensors(e, our_std[p].shape, dtype, our_mean[p], our_std[p]),
            lambda g, p=part: torch.normal(mean[p], std[p], generator=g),
            (0, 3),
        )
    with pytest.raises(RuntimeError, match=r"normal expects all elements of std >= 0\.0"):
        draws.normal_tensors(Engine(), (20,), dtype, 0.0, -our_std)


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
@pytest.mark.parametrize("bounds", ((-2.0, 2.0), (-0.5, 0.1), (0.0, 5.0), (1.5, 3.0), (-1.0, -0.9), (2.0, 2.5)))
def test_trunc_normal(way: str, compare: Compare, torch: Any, torch_dtype: Named, bounds: tuple[float, float]) -> None:
    a, b = bounds
    for dtype in FLOATS:
        for shape, stride in (((5, 3), None), ((40, 10), None), ((12, 11), (1, 12)), ((12, 11), (1, 24)), ((3, 3), (6, 2))):

            def theirs(g: Any, dtype: dtypes.dtype = dtype, shape: Any = shape, stride: Any = stride) -> Any:
                tensor = torch.empty(1000, dtype=torch_dtype(dtype))
                tensor = tensor.as_strided(shape, (shape[1], 1) if stride is None else stride)
                return torch.nn.init.trunc_normal_(tensor, 0.1, 0.9, a, b, generator=g).contiguous()

            compare(lambda e, d=dtype, s=shape, st=stride: draws.trunc_normal(e, s, st, d, 0.1, 0.9, a, b), theirs, (0, 42))


@pytest.mark.parametrize(
    ("draw", "theirs"),
    (
        (lambda e: draws.uniform(e, (3,), None, dtypes.float32, 2, 1), lambda t: t.empty(3).uniform_(2, 1)),
        (lambda e: draws.uniform(e, (3,), None, dtypes.float32, 0, 1e39), lambda t: t.empty(3).uniform_(0, 1e39)),
        (lambda e: draws.uniform(e, (3,), None, dtypes.float32, float("nan"), 1), lambda t: t.empty(3).uniform_(float("nan"), 1)),
        (lambda e: draws.uniform(e, (3,), None, dtypes.float16, 0, 1e6), lambda t: t.empty(3).half().uniform_(0, 1e6)),
        (lambda e: draws.uniform(e, (3,), None, dtypes.float32, -3e38, 3e38), lambda t: t.empty(3).uniform_(-3e38, 3e38)),
        (lambda e: draws.uniform(e, (3,), None, dtypes.int32), lambda t: t.empty(3).int().uniform_()),
        (lambda e: draws.uniform(e, (0,), None, dtypes.float32, 2, 1), lambda t: t.empty(0).uniform_(2, 1)),
        (lambda e: draws.uniform(e, (5,), (0,), dtypes.float32), lambda t: t.empty(1).expand(5).uniform_()),
        (lambda e: draws.normal(e, (3,), None, dtypes.float32, 0, -1.5), lambda t: t.empty(3).normal_(0, -1.5)),
        (lambda e: draws.normal(e, (3,), None, dtypes.float32, 0, float("nan")), lambda t: t.empty(3).normal_(0, float("nan"))),
        (lambda e: draws.normal(e, (3,), None, dtypes.int64), lambda t: t.empty(3).long().normal_()),
        (lambda e: draws.normal(e, (5,), (0,), dtypes.float32), lambda t: t.empty(1).expand(5).normal_()),
        (lambda e: draws.log_normal(e, (3,), None, dtypes.float32, 0, 0), lambda t: t.empty(3).log_normal_(0, 0)),
        (lambda e: draws.log_normal(e, (3,), None, dtypes.bool_), lambda t: t.empty(3).bool().log_normal_()),
    ),
)
def test_errors(torch: Any, draw: Callable[[Engine], Any], theirs: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as expected:
        theirs(torch)
    engine = Engine(1)
    before = engine.get_state()
    with pytest.raises(type(expected.value)) as raised:
        draw(engine)
    assert str(raised.value) == str(expected.value).split("\n")[0]
    assert np.array_equal(engine.get_state(), before)


def test_empty_tensors_draw_nothing(way: str) -> None:
    engine = Engine(1)
    before = engine.get_state()
    assert draws.normal(engine, (0, 3), None, dtypes.bfloat16).shape == (0, 3)
    assert draws.uniform(engine, (3, 0), None, dtypes.complex64).shape == (3, 0)
    assert draws.log_normal(engine, (0,), None, dtypes.float64).shape == (0,)
    assert np.array_equal(engine.get_state(), before)
