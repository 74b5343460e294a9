from __future__ import annotations

import collections
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchlike_asg as ours
from torchlike_asg.utils.data import default_collate, default_convert
from torchlike_asg.utils.data.collate import collate, default_collate_fn_map

from .loader_helpers import plain

Point = collections.namedtuple("Point", ["x", "y"])

_DTYPES = (np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_, np.float16)
_shapes = st.lists(st.integers(0, 3), max_size=2).map(tuple)


def _arrays(draw: Any, count: int) -> list[Any]:
    dtype, shape = draw(st.sampled_from(_DTYPES)), draw(_shapes)
    return [
        np.arange(int(np.prod(shape)) or 1).repeat(1)[: int(np.prod(shape))].reshape(shape).astype(dtype) + dtype(i) for i in range(count)
    ]


def _numbers(draw: Any, count: int) -> list[Any]:
    kind = draw(st.sampled_from([int, float, bool, str, bytes, np.float32, np.int64]))
    values = range(count)
    if kind is bytes:
        return [bytes([65 + i]) for i in values]
    return [kind(i) for i in values]


@st.composite
def batches(draw: Any, depth: int = 2) -> list[Any]:
    """A batch of 1 to 4 samples of one random structure."""
    count = draw(st.integers(1, 4))

    def build(depth: int) -> list[Any]:
        kind = draw(st.sampled_from(["array", "number"] + ["tuple", "list", "dict", "point"] * (depth > 0)))
        if kind == "array":
            return _arrays(draw, count)
        if kind == "number":
            return _numbers(draw, count)
        parts = [build(depth - 1) for _ in range(2 if kind == "point" else draw(st.integers(0, 2)))]
        if kind == "dict":
            return [{str(k): part[i] for k, part in enumerate(parts)} for i in range(count)]
        make = {"tuple": tuple, "list": list, "point": lambda row: Point(*row)}[kind]
        return [make([part[i] for part in parts]) for i in range(count)]

    return build(depth)


@settings(deadline=None, max_examples=150)
@given(batch=batches())
def test_collate_is_torchs(torch: Any, batch: list[Any]) -> None:
    assert plain(default_collate(batch)) == plain(torch.utils.data.default_collate(batch))


@settings(deadline=None, max_examples=50)
@given(batch=batches())
def test_convert_is_torchs(torch: Any, batch: list[Any]) -> None:
    assert plain(default_convert(batch[0])) == plain(torch.utils.data.default_convert(batch[0]))


def test_tensors_are_stacked_with_their_dtype() -> None:
    for dtype in (ours.float32, ours.float64, ours.float16, ours.bfloat16, ours.int8, ours.bool):
        batch = default_collate([ours.ones(2, dtype=dtype), ours.zeros(2, dtype=dtype)])
        assert batch.dtype is dtype and batch.tolist() == [[1, 1], [0, 0]]


def test_batch_has_its_own_memory() -> None:
    array = np.zeros(2, np.float32)
    batch = default_collate([array, array])
    array[:] = 5
    assert batch.tolist() == [[0, 0], [0, 0]]


def test_stacked_tensors_keep_their_gradient() -> None:
    leaves = [ours.ones(2, requires_grad=True) for _ in range(3)]
    default_collate(leaves).sum().backward()
    assert all(leaf.grad.tolist() == [1, 1] for leaf in leaves)


def test_mapping_types_survive() -> None:
    samples = [collections.OrderedDict(a=i) for i in range(2)]
    assert type(default_collate(samples)) is collections.OrderedDict
    counts = [collections.defaultdict(int, a=i) for i in range(2)]
    assert default_collate(counts)["missing"] == 0
    frozen = [MappingProxyType({"a": i}) for i in range(2)]
    assert default_collate(frozen)["a"].tolist() == [0, 1]


def test_sequence_types_survive() -> None:
    samples = [collections.deque([i, 2.0]) for i in range(2)]
    batch = default_collate([list(each) for each in samples])
    assert type(batch) is list and batch[0].tolist() == [0, 1]
    assert [t.tolist() for t in default_collate([range(2), range(2)])] == [[0, 0], [1, 1]]


@pytest.mark.parametrize(
    ("batch", "error", "text"),
    [
        ([None], TypeError, "must contain tensors, numpy arrays, numbers, dicts or lists; found <class 'NoneType'>"),
        ([{1}], TypeError, "found <class 'set'>"),
        ([np.array(["a"])], TypeError, "found <U1"),
        ([(1, 2), (1,)], RuntimeError, "each element in list of batch should be of equal size"),
        ([], IndexError, "list index out of range"),
    ],
)
def test_errors(batch: list[Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        default_collate(batch)


def test_unequal_sizes_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        default_collate([np.ones(2), np.ones(3)])


def test_own_functions_by_type() -> None:
    class Special:
        pass

    table = {Special: lambda batch, *, collate_fn_map: len(batch), **default_collate_fn_map}
    assert collate([(Special(), 1), (Special(), 2)], collate_fn_map=table)[0] == 2
    replaced = {
        ours.Tensor: lambda batch, *, collate_fn_map: "mine",
        **{k: v for k, v in default_collate_fn_map.items() if k is not ours.Tensor},
    }
    assert collate([np.ones(2)], collate_fn_map=replaced) == "mine"
