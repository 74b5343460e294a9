"""The remaining distributions against torch: values and state bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.rng import Engine, draws

INTEGERS = (dtypes.uint8, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64)
FLOATS = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16)
SIZES = (1, 15, 16, 17, 100, 1000)

Compare = Callable[..., None]
Named = Callable[[dtypes.dtype], Any]


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


def as_array(tensor: Any) -> np.ndarray[Any, Any]:
    return tensor.float().numpy() if str(tensor.dtype) == "torch.bfloat16" else tensor.numpy()


@pytest.mark.parametrize("dtype", (dtypes.bool_, *INTEGERS, *FLOATS), ids=str)
def test_bernoulli_of_a_number(way: str, compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    for p in (0.0, 0.1, 0.5, 1 / 3, 1.0, 2.0**-60):
        for size in SIZES:
            compare(
                lambda e, n=size, p=p: draws.bernoulli(e, (n,), None, p, dtype),
                lambda g, n=size, p=p: torch.empty(n, dtype=torch_dtype(dtype)).bernoulli_(p, generator=g),
                (0, 42),
            )


@pytest.mark.parametrize("p_dtype", FLOATS, ids=str)
def test_bernoulli_of_a_tensor(way: str, compare: Compare, torch: Any, torch_dtype: Named, p_dtype: dtypes.dtype) -> None:
    p = torch.linspace(0, 1, 35).to(torch_dtype(p_dtype)).reshape(5, 7)
    compare(lambda e: draws.bernoulli_tensor(e, (5, 7), None, as_array(p), p_dtype), lambda g: torch.bernoulli(p, generator=g))
    compare(
        lambda e: draws.bernoulli_tensor(e, (7, 5), None, as_array(p.t()), p_dtype),
        lambda g: torch.bernoulli(p.t(), generator=g),
    )
    for dtype in (dtypes.bool_, dtypes.int32, dtypes.float64, dtypes.float16):
        for shape, strides in (((5, 7), None), ((3, 5, 7), (1, 21, 3))):
            compare(
                lambda e, d=dtype, shape=shape, strides=strides: draws.bernoulli_tensor(e, shape, strides, as_array(p), p_dtype, d),
                lambda g, d=dtype, shape=shape, strides=strides: (
                    torch.empty(105, dtype=torch_dtype(d)).as_strided(shape, strides or (7, 1)).bernoulli_(p, generator=g).contiguous()
                ),
                (1, 2),
            )


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_dropout(way: str, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    for p in (0.1, 0.5, 0.3, 0.9):
        for shape, layout in (((3,), "c"), ((40, 25), "c"), ((40, 25), "t"), ((2, 3, 4, 5), "cl")):
            x = torch.randn(shape, dtype=torch_dtype(dtype), generator=torch.Generator().manual_seed(1))
            x = x.t() if layout == "t" else x.to(memory_format=torch.channels_last) if layout == "cl" else x
            torch.manual_seed(9)
            theirs = torch.nn.functional.dropout(x, p)
            engine = Engine(9)
            noise = draws.dropout_noise(engine, tuple(x.shape), x.stride(), dtype, p)
            kept = as_array(x) if dtype is not dtypes.float16 else as_array(x).astype(np.float32)
            product = torch.from_numpy(np.ascontiguousarray(kept * noise)).to(x.dtype)
            assert as_array(product).tobytes() == as_array(theirs.contiguous()).tobytes()
            assert noise.dtype == (np.float32 if dtype is dtypes.bfloat16 else dtype.storage)
            assert engine.get_state().tobytes() == torch.get_rng_state().numpy().tobytes()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_continuous(way: str, compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    def empty(size: int) -> Any:
        return torch.empty(size, dtype=torch_dtype(dtype))

    for n in SIZES:
        for rate in (1.0, 0.37, 12.5, 1e-3, float("inf")):
            compare(
                lambda e, n=n, rate=rate: draws.exponential(e, (n,), None, dtype, rate),
                lambda g, n=n, rate=rate: empty(n).exponential_(rate, generator=g),
                (0, 42),
            )
        for median, sigma in ((0.0, 1.0), (2.0, 0.3), (-1e3, 7.0)):
            compare(
                lambda e, n=n, median=median, sigma=sigma: draws.cauchy(e, (n,), None, dtype, median, sigma),
                lambda g, n=n, median=median, sigma=sigma: empty(n).cauchy_(median, sigma, generator=g),
                (0, 42),
            )
        for mean, std in ((1.0, 2.0), (0.0, 0.1), (5.0, 30.0)):
            compare(
                lambda e, n=n, mean=mean, std=std: draws.log_normal(e, (n,), None, dtype, mean, std),
                lambda g, n=n, mean=mean, std=std: empty(n).log_normal_(mean, std, generator=g),
                (0, 42),
            )


@pytest.mark.parametrize("dtype", (*INTEGERS, *FLOATS), ids=str)
def test_geometric(way: str, compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    for n in SIZES:
        for p in (0.2, 0.5, 0.97):
            compare(
                lambda e, n=n, p=p: draws.geometric(e, (n,), None, dtype, p),
                lambda g, n=n, p=p: torch.empty(n, dtype=torch_dtype(dtype)).geometric_(p, generator=g),
                (0, 42),
            )


@pytest.mark.parametrize("name", ("exponential", "cauchy", "log_normal", "geometric"))
def test_memory_order(way: str, compare: Compare, torch: Any, name: str) -> None:
    arguments = (0.25,) if name == "geometric" else ()
    for shape, strides in (((6, 5), (1, 6)), ((2, 3, 2, 2), (12, 1, 6, 3)), ((4, 3), (12, 2))):
        compare(
            lambda e, shape=shape, strides=strides: getattr(draws, name)(e, shape, strides, dtypes.float32, *arguments),
            lambda g, shape=shape, strides=strides: getattr(torch.empty(100).as_strided(shape, strides), name + "_")(
                *arguments, generator=g
            ).contiguous(),
            (1, 42),
        )


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_multinomial(way: str, compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    base = torch.rand(4, 50, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    base[0, 7] = 0
    for weights in (base.to(torch_dtype(dtype)), (base[1] * 30).to(torch_dtype(dtype)), base[:, :1].to(torch_dtype(dtype))):
        for count, replacement in ((1, False), (1, True), (2, True), (17, True), (200, True), (3, False), (weights.shape[-1], False)):
            if not replacement and (count > weights.shape[-1] or (count > 1 and dtype in (dtypes.float16, dtypes.bfloat16))):
                continue  # impossible; or so coarse that ties decide, whose order PyTorch leaves open
            compare(
                lambda e, w=weights, n=count, r=replacement: draws.multinomial(e, as_array(w), dtype, n, r),
                lambda g, w=weights, n=count, r=replacement: torch.multinomial(w, n, r, generator=g),
            )


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_rejection(compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    kind = torch_dtype(dtype)
    rates = torch.cat([torch.zeros(1), torch.linspace(0.01, 60, 70), torch.tensor([1e3, 9.99, 10.0])]).to(kind)
    compare(lambda e: draws.poisson(e, as_array(rates), dtype), lambda g: torch.poisson(rates, generator=g))
    grid = rates[:70].reshape(7, 10)
    compare(
        lambda e: draws.poisson(e, as_array(grid.t()), dtype),
        lambda g: torch.poisson(grid.t(), generator=g),
    )


@pytest.mark.parametrize("dtype", (dtypes.float32, dtypes.float64), ids=str)
def test_gamma_and_binomial(compare: Compare, torch: Any, torch_dtype: Named, dtype: dtypes.dtype) -> None:
    kind = torch_dtype(dtype)
    alphas = torch.cat([torch.linspace(0.05, 3, 60), torch.tensor([0.0, 1.0, 50.0, 1e-3])]).to(kind)
    compare(lambda e: draws.standard_gamma(e, as_array(alphas), dtype), lambda g: torch._standard_gamma(alphas, generator=g))
    trials, chances = torch.arange(0, 120, 2).to(kind), torch.linspace(0, 1, 60).to(kind)
    compare(lambda e: draws.binomial(e, as_array(trials), as_array(chances), dtype), lambda g: torch.binomial(trials, chances, generator=g))
    compare(
        lambda e: draws.binomial(e, as_array(trials[:, None]), as_array(chances), dtype),
        lambda g: torch.binomial(trials[:, None].expand(60, 60), chances.expand(60, 60), generator=g),
        (4,),
    )


def test_rejection_leaves_the_generator_behind_its_last_draw(way: str, torch: Any) -> None:
    engine, generator = Engine(2), torch.Generator().manual_seed(2)
    for _ in range(3):
        ours, theirs = (
            draws.standard_gamma(engine, np.full(700, 0.7), dtypes.float64),
            torch._standard_gamma(torch.full((700,), 0.7, dtype=torch.float64), generator=generator),
        )
        assert ours.tobytes() == theirs.numpy().tobytes()
        assert draws.normal(engine, (1,), None, dtypes.float32) == torch.randn(1, generator=generator).numpy()
        assert engine.get_state().tobytes() == generator.get_state().numpy().tobytes()


W = np.ones(4, np.float32)


@pytest.mark.parametrize(
    ("draw", "theirs"),
    (
        (lambda e: draws.exponential(e, (3,), None, dtypes.float32, 0), lambda t: t.empty(3).exponential_(0)),
        (lambda e: draws.exponential(e, (3,), None, dtypes.int32), lambda t: t.empty(3).int().exponential_()),
        (lambda e: draws.exponential(e, (5,), (0,), dtypes.float32), lambda t: t.empty(1).expand(5).exponential_()),
        (lambda e: draws.geometric(e, (3,), None, dtypes.float32, 1.5), lambda t: t.empty(3).geometric_(1.5)),
        (lambda e: draws.geometric(e, (3,), None, dtypes.complex64, 0.5), lambda t: t.empty(3, dtype=t.complex64).geometric_(0.5)),
        (lambda e: draws.cauchy(e, (3,), None, dtypes.float32, 0, 0), lambda t: t.empty(3).cauchy_(0, 0)),
        (lambda e: draws.cauchy(e, (3,), None, dtypes.int64), lambda t: t.empty(3).long().cauchy_()),
        (lambda e: draws.bernoulli(e, (3,), None, 1.5), lambda t: t.empty(3).bernoulli_(1.5)),
        (lambda e: draws.bernoulli_tensor(e, (4,), None, W, dtypes.int64), lambda t: t.empty(4).bernoulli_(t.ones(4).long())),
        (lambda e: draws.multinomial(e, W, dtypes.float32, 5), lambda t: t.multinomial(t.ones(4), 5)),
        (lambda e: draws.multinomial(e, W, dtypes.float32, 0), lambda t: t.multinomial(t.ones(4), 0)),
        (lambda e: draws.multinomial(e, 0 * W, dtypes.float32, 2), lambda t: t.multinomial(t.zeros(4), 2)),
        (lambda e: draws.multinomial(e, 0 * W, dtypes.float32, 2, True), lambda t: t.multinomial(t.zeros(4), 2, True)),
        (lambda e: draws.multinomial(e, -W, dtypes.float32, 2), lambda t: t.multinomial(-t.ones(4), 2)),
        (lambda e: draws.multinomial(e, -W, dtypes.float32, 2, True), lambda t: t.multinomial(-t.ones(4), 2, True)),
        (lambda e: draws.multinomial(e, W * np.inf, dtypes.float32, 2), lambda t: t.multinomial(t.ones(4) * np.inf, 2)),
        (lambda e: draws.multinomial(e, W * np.inf, dtypes.float32, 2, True), lambda t: t.multinomial(t.ones(4) * np.inf, 2, True)),
        (lambda e: draws.multinomial(e, W * np.nan, dtypes.float32, 2, True), lambda t: t.multinomial(t.ones(4) * np.nan, 2, True)),
        (lambda e: draws.multinomial(e, W, dtypes.int64, 2), lambda t: t.multinomial(t.ones(4).long(), 2)),
        (lambda e: draws.multinomial(e, np.float32(1), dtypes.float32, 1), lambda t: t.multinomial(t.tensor(1.0), 1)),
        (lambda e: draws.poisson(e, -W, dtypes.float32), lambda t: t.poisson(-t.ones(4))),
        (lambda e: draws.poisson(e, W, dtypes.int32), lambda t: t.poisson(t.ones(4).int())),
        (lambda e: draws.standard_gamma(e, W, dtypes.int64), lambda t: t._standard_gamma(t.ones(4).long())),
        (lambda e: draws.standard_gamma(e, W, dtypes.float16), lambda t: t._standard_gamma(t.ones(4).half())),
        (lambda e: draws.binomial(e, W, W, dtypes.bfloat16), lambda t: t.binomial(t.ones(4).bfloat16(), t.ones(4).bfloat16())),
    ),
)
def test_errors(torch: Any, draw: Callable[[Engine], Any], theirs: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as expected:
        theirs(torch)
    with pytest.raises(type(expected.value)) as raised:
        draw(Engine(1))
    assert str(raised.value) == str(expected.value).split("\n")[0]


def test_probabilities_outside_the_unit_interval() -> None:
    for bad in (1.5, -0.1, np.nan):
        with pytest.raises(RuntimeError, match="Expected p_in >= 0 && p_in <= 1"):
            draws.bernoulli_tensor(Engine(), (2,), None, np.array([0.5, bad], np.float32), dtypes.float32)


def test_empty_tensors_draw_nothing(way: str) -> None:
    engine = Engine(1)
    before = engine.get_state()
    empty = np.empty((0,), np.float32)
    for made in (
        draws.exponential(engine, (0, 2), None, dtypes.float32),
        draws.geometric(engine, (0, 2), None, dtypes.int64, 0.5),
        draws.cauchy(engine, (0, 2), None, dtypes.float16),
        draws.bernoulli(engine, (0, 2), None, 0.5),
        draws.bernoulli_tensor(engine, (0, 2), None, empty.reshape(0, 1), dtypes.float32),
        draws.dropout_noise(engine, (0, 2), None, dtypes.float32, 0.5),
        draws.random_(engine, (0, 2), None, dtypes.int64),
        draws.random_(engine, (0, 2), None, dtypes.int64, 0, 5),
        draws.poisson(engine, empty.reshape(0, 2), dtypes.float32),
        draws.multinomial(engine, np.ones((0, 2), np.float32), dtypes.float32, 2),
    ):
        assert made.shape == (0, 2)
    assert np.array_equal(engine.get_state(), before)
