"""`repr` of random tensors under random print options, and of every layer of PyTorch's own table, against PyTorch's text."""

import math
import warnings

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import torchlike_asg as ours  # noqa: E402

REAL = ["float32", "float64", "float16", "bfloat16"]
DTYPES = [*REAL, "complex64", "complex128", "int64", "int32", "int16", "int8", "uint8", "bool"]
#: what decides the notation: signs of zero, the edges between notations, the largest and smallest numbers, what is no number
EDGES = [0.0, -0.0, 1.0, -1.0, 0.1, 1e-5, 9.99e-5, 1e-4, 999.9999, 1e3, 1e5, 1e8, 99999999.0, 16777216.0, 1e-10, 1e38, 1e-38, math.pi,
         123456.789,
         math.nan, math.inf, -math.inf]  # fmt: skip
SHAPES = [(), (0,), (1,), (3,), (7,), (30,), (2, 3), (3, 0), (1, 40), (4, 9), (1, 1, 1), (2, 2, 2), (2, 1, 3, 2)]
OPTIONS = st.one_of(
    st.fixed_dictionaries(
        {}, optional={"profile": st.sampled_from(["default", "short", "full"]), "sci_mode": st.sampled_from([True, False])}
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "precision": st.sampled_from([0, 1, 2, 4, 8, 10]),
            "threshold": st.sampled_from([0, 5, 10, 1000]),
            "edgeitems": st.sampled_from([1, 2, 3, 5]),
            "linewidth": st.sampled_from([1, 20, 40, 80, 200]),
            "sci_mode": st.sampled_from([True, False, None]),
        },
    ),
)


@st.composite
def tensors(draw):
    """(dtype, shape, numbers, whether it wants a gradient, what is done with it)."""
    d, shape = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(SHAPES))
    count = math.prod(shape)
    if d == "bool":
        numbers = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    elif "int" in d:
        low, high = (0, 255) if d == "uint8" else (-128, 127)
        numbers = draw(st.lists(st.integers(low, high), min_size=count, max_size=count))
    else:
        pool = draw(st.lists(st.one_of(st.sampled_from(EDGES), st.floats(width=32)), min_size=1, max_size=4))
        one = st.sampled_from(pool)
        numbers = draw(st.lists(st.builds(complex, one, one) if "complex" in d else one, min_size=count, max_size=count))
    tracked = "int" not in d and d != "bool" and draw(st.booleans())
    return d, shape, numbers, tracked, draw(st.sampled_from(["", "", "times one", "view", "parameter", "detach"]))


def text(lib, tensor, options, default):
    d, shape, numbers, tracked, then = tensor
    try:
        lib.set_printoptions(profile="default")
        lib.set_printoptions(**options)
        lib.set_default_dtype(getattr(lib, default))
        t = lib.tensor(numbers, dtype=getattr(lib, d)).reshape(shape).detach().requires_grad_(tracked)
        if then == "times one" and d != "bool":
            t = t * 1
        if then == "view":
            t = t.view(-1)
        if then == "parameter":
            t = lib.nn.Parameter(t.detach(), requires_grad=tracked)
        if then == "detach":
            t = t.detach()
        return [repr(t), str(t)]
    finally:
        lib.set_default_dtype(lib.float32)
        lib.set_printoptions(profile="default")


@settings(max_examples=400, deadline=None, derandomize=True)
@given(tensors(), OPTIONS, st.sampled_from(["float32", "float32", "float64", "float16"]))
def test_tensors_print_as_pytorch_s(tensor, options, default):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numbers beyond the range of a narrow type
        assert text(ours, tensor, options, default) == text(torch, tensor, options, default)


def converted(x):
    if isinstance(x, torch.Tensor):
        return ours.tensor(x.detach().numpy().copy())
    if isinstance(x, torch.dtype):
        return getattr(ours, str(x).split(".")[1])
    if isinstance(x, torch.nn.Module):
        pytest.skip("made of other layers")
    if isinstance(x, dict):
        return {k: converted(v) for k, v in x.items() if k != "device"}
    return type(x)([converted(v) for v in x]) if isinstance(x, (list, tuple)) else x


def layers():
    pytest.importorskip("expecttest")
    common = pytest.importorskip("torch.testing._internal.common_modules")
    return {info.module_cls.__name__: info for info in common.module_db}


def test_layers_print_as_pytorch_s():
    compared = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, info in layers().items():
            if name.startswith("TransformerEncoder") or name.startswith("TransformerDecoder"):
                continue  # below
            seen = set()
            for case in info.module_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=False, training=True):
                made = case.constructor_input
                key = repr((made.args, made.kwargs))
                if key in seen or len(seen) == 12:
                    continue
                seen.add(key)
                theirs = repr(info.module_cls(*made.args, **{k: v for k, v in made.kwargs.items() if k != "device"}))
                assert repr(getattr(ours.nn, name)(*converted(made.args), **converted(made.kwargs))) == theirs
                compared += 1
    assert compared > 300


@pytest.mark.parametrize(
    "make",
    [
        lambda nn: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2, nn.LayerNorm(4), enable_nested_tensor=False),
        lambda nn: nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8), 3),
        lambda nn: nn.Sequential(*[nn.Linear(2, 2)] * 3, nn.Sequential(), nn.ModuleList([nn.ReLU()]), nn.ModuleDict({"a": nn.Tanh()})),
        lambda nn: nn.ParameterList([nn.Parameter(nn.Linear(2, 3).weight.detach() * 0), 3]),
        lambda nn: nn.ParameterDict({"w": nn.Parameter(nn.Linear(2, 3).bias.detach() * 0), "n": 2}),
        lambda nn: nn.utils.parametrizations.weight_norm(nn.Linear(2, 3)),
        lambda nn: nn.utils.parametrizations.spectral_norm(nn.Conv2d(1, 2, 3)),
    ],
)
def test_containers_print_as_pytorch_s(make):
    assert repr(make(ours.nn)) == repr(make(torch.nn))
