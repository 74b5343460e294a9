"""Binding arguments natively: the same as in Python, for every kind of array."""

import itertools

import numpy as np
import pytest

from torchlike_asg.backends.cpu import binder
from torchlike_asg.backends.cpu.binder import FITS, Argument, Binder
from torchlike_asg.backends.cpu.program import PointerTable


def like(x, slot=0):
    return Argument(slot, x.shape, x.strides, x.dtype)


def read_only(x):
    x.flags.writeable = False
    return x


def misaligned():
    return np.zeros(9, np.uint8)[1:].view(np.float64)


class Sub(np.ndarray):
    pass


ARRAYS = {
    "float32": np.zeros((2, 3), np.float32),
    "float64": np.zeros((2, 3)),
    "int64": np.zeros((2, 3), np.int64),
    "other shape": np.zeros((3, 2), np.float32),
    "fewer dimensions": np.zeros(6, np.float32),
    "more dimensions": np.zeros((2, 3, 1), np.float32),
    "transposed": np.zeros((3, 2), np.float32).T,
    "rows apart": np.zeros((2, 6), np.float32)[:, :3],
    "reversed": np.zeros((2, 3), np.float32)[::-1],
    "repeated": np.broadcast_to(np.zeros(3, np.float32), (2, 3)),
    "0-d": np.zeros((), np.float32),
    "one": np.zeros((1, 1), np.float32),
    "one, strange strides": np.zeros((5, 5), np.float32)[::3, ::2][:1, :1],
    "empty": np.zeros((0, 3), np.float32),
    "empty, strange strides": np.zeros((9, 9), np.float32)[:0:2, ::3],
    "big endian": np.zeros((2, 3), ">f4"),
    "subclass": np.zeros((2, 3), np.float32).view(Sub),
    "misaligned": misaligned(),
    "aligned": np.zeros(1),
    "not an array": [1.0],
    "none": None,
    "scalar": np.float32(1),
    "read only": read_only(np.zeros((2, 3), np.float32)),
}


@pytest.fixture(params=["native", "python"])
def how(request, monkeypatch):
    if request.param == "python":
        monkeypatch.setattr(binder, "native_bind", lambda: None)
    else:
        assert binder.native_bind() is not None
    return request.param


@pytest.mark.parametrize("expected", [k for k, x in ARRAYS.items() if isinstance(x, np.ndarray) and x.flags.aligned])
def test_native_and_python_agree_on_what_fits(expected):
    table = PointerTable(1)
    b = Binder([like(ARRAYS[expected])], table)
    for name, x in ARRAYS.items():
        table.words[0] = 0
        native = b._native([x], b._address)
        address = table.words[0]
        table.words[0] = 0
        assert b.bind_slowly([x]) == native, name
        assert table.words[0] == address, name
        if native == FITS:
            assert address == x.ctypes.data
    assert b.bind([ARRAYS[expected]]) == (0 if expected == "subclass" else FITS)


def test_strides_along_one_element_or_in_empty_arrays_do_not_matter(how):
    for a, b in itertools.product(("one", "one, strange strides"), repeat=2):
        assert Binder([like(ARRAYS[a])], PointerTable(1)).bind([ARRAYS[b]]) == FITS
    assert Binder([like(ARRAYS["empty"])], PointerTable(1)).bind([ARRAYS["empty, strange strides"]]) == FITS


@pytest.mark.parametrize("kind", [list, tuple])
def test_addresses_go_to_their_slots_and_the_first_misfit_is_told(how, kind):
    arrays = [np.zeros(n + 1, np.float32) for n in range(20)]
    table = PointerTable(40)
    b = Binder([like(x, 2 * i) for i, x in enumerate(arrays)], table)
    assert b.bind(kind(arrays)) == FITS
    assert list(table.words[::2]) == [x.ctypes.data for x in arrays]
    assert not table.words[1::2].any()
    wrong = list(arrays)
    wrong[7] = wrong[12] = np.zeros(99)
    assert b.bind(kind(wrong)) == 7


def test_a_wrong_number_of_values_is_an_error(how):
    b = Binder([like(ARRAYS["float32"])], PointerTable(1))
    for values in ([], [ARRAYS["float32"]] * 2, ()):
        with pytest.raises(ValueError, match="arguments instead of 1"):
            b.bind(values)


def test_no_arguments(how):
    assert Binder([], PointerTable(0)).bind([]) == FITS


def donate(x, limit=2):
    """Bind an array that `x()` makes, known to its list and one name; whether it must not be overwritten."""
    value = x()
    b = Binder([like(value)], PointerTable(1), donated={0: limit})
    assert b.bind([value]) == FITS
    return bool(b.refused)


KEPT = np.zeros((4, 4))


@pytest.mark.parametrize(
    ("make", "refused"),
    [
        (lambda: np.zeros(3), False),
        (lambda: np.zeros((3, 4)).T, False),  # its base is known to nobody else
        (lambda: np.zeros((3, 4))[1:], False),
        (lambda: KEPT[1:], True),
        (lambda: KEPT, True),
        (lambda: read_only(np.zeros(3)), True),
        (lambda: np.frombuffer(bytearray(8)), True),
    ],
)
def test_only_memory_that_nobody_else_knows_may_be_overwritten(make, refused):
    assert donate(make) is refused


def test_another_reference_or_view_refuses():
    x = np.zeros(3)
    b = Binder([like(x), like(x)], PointerTable(1), donated={1: 2})
    other = np.zeros(3)
    assert b.bind([other, x]) == FITS and b.refused == 0
    view = x[:]
    assert b.bind([other, x]) == FITS and b.refused == 1
    del view
    assert b.bind([other, x]) == FITS and b.refused == 0
    name = x
    assert b.bind([other, x]) == FITS and b.refused == 1
    assert name is x


def test_in_python_everything_donated_is_refused(monkeypatch):
    monkeypatch.setattr(binder, "native_bind", lambda: None)
    assert donate(lambda: np.zeros(3)) is True


def test_layouts_are_checked(monkeypatch):
    assert binder.layouts_are_known()
    for field in ("ITEMS", "SIZE", "DATA", "DIMENSIONS", "SHAPE", "STRIDES", "BASE", "DTYPE", "REFERENCES", "ALIGNED"):
        with monkeypatch.context() as m:
            m.setattr(binder, field, binder.WRITEABLE if field == "ALIGNED" else {"SHAPE": 40, "STRIDES": 32}.get(field, 8))
            assert not binder.layouts_are_known(), field
