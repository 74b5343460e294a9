"""The pickle writer and interpreter against Python's own, on generated structures."""

import math
import pickle
import pickletools
from collections import OrderedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchlike_asg.serialization import CorruptFileError, UnsafeContentError
from torchlike_asg.serialization.allowed import standard_globals
from torchlike_asg.serialization.unpickler import Unpickler
from torchlike_asg.serialization.writer import GlobalName, PersistentId, PickleWriter, Reduce, global_name


def loads(data, **keywords):
    def resolve(module, name):
        found = standard_globals(module, name)
        if found is None:
            raise UnsafeContentError(f"{module}.{name}")
        return found

    return Unpickler(data, resolve, lambda reference: ("persistent", reference), "the test", **keywords).load()


def dumps(obj):
    return PickleWriter(lambda x: None).dumps(obj)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))  # lone surrogates too
    | st.binary()
    | st.complex_numbers(allow_nan=False)
)
keys = st.recursive(scalars, lambda inner: st.tuples(inner) | st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=4)
structures = st.recursive(
    scalars | st.binary().map(bytearray),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(keys, inner)
        | st.dictionaries(keys, inner).map(OrderedDict)
        | st.sets(keys)
    ),
    max_leaves=20,
)


def identical(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return len(a) == len(b) and all(identical(x, y) for x, y in zip(a.items(), b.items(), strict=True))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return a == b


@settings(max_examples=150, deadline=None)
@given(structures)
def test_what_we_write_python_reads(obj):
    assert identical(pickle.loads(dumps(obj)), obj)


@settings(max_examples=150, deadline=None)
@given(structures, st.integers(0, 5))
def test_what_python_writes_we_read(obj, protocol):
    assert identical(loads(pickle.dumps(obj, protocol)), obj)


@settings(max_examples=100, deadline=None)
@given(structures)
def test_round_trip_and_validity(obj):
    data = dumps(obj)
    assert identical(loads(data), obj)
    assert max(op.proto for op, _, _ in pickletools.genops(data)) <= 2


def test_python_2_protocols():
    assert loads(b"(lp0\nI1\naI01\naL5L\naF1.5\naS'ab\\n'\np1\naVx\\u0041\nag1\na.") == [1, True, 5, 1.5, "ab\n", "xA", "ab\n"]
    assert loads(b"(dp0\nS'a'\nI1\ns.") == {"a": 1}
    assert loads(b"\x80\x02c__builtin__\nset\n]K\x01a\x85R.") == {1}
    assert loads(b"\x80\x02U\x01\xe9.", encoding="bytes") == b"\xe9" and loads(b"\x80\x02U\x01\xe9.", encoding="latin1") == "\xe9"


def test_reductions_of_the_callback():
    class Box:
        pass

    box = Box()
    written = PickleWriter(lambda x: Reduce(OrderedDict, (), {"note": 1}, None, [("a", box)]) if type(x) is Box else None).dumps([box, box])
    found = loads(written)
    assert found[0] is found[1] and found[0]["a"] is found[0] and found[0].note == 1
    written = PickleWriter(lambda x: PersistentId(("here", 5)) if type(x) is Box else None).dumps([box, box])
    assert loads(written) == [("persistent", ("here", 5))] * 2
    assert b"cnumpy\ndtype\n" in PickleWriter(lambda x: GlobalName("numpy", "dtype")).dumps(box)


def test_objects_that_need_themselves_are_refused():
    class Loop:
        def __reduce__(self):
            return list, ((self,),)

    with pytest.raises(pickle.PicklingError, match="construct itself"):
        dumps(Loop())


def test_names_must_lead_back_to_the_object():
    assert global_name(OrderedDict) == GlobalName("collections", "OrderedDict")
    for bad in (lambda: 0, type("Hidden", (), {})):
        with pytest.raises(pickle.PicklingError, match="Can't pickle"):
            dumps(bad)


# -- damage -----------------------------------------------------------------------------------------------------------

SAMPLE = {"a": [1, 2.5, "x", b"y", (1, 2, 3, 4)], "b": {1, 2}, "c": OrderedDict(z=1), "d": [2**70, None, True]}


@pytest.mark.parametrize("protocol", range(6))
def test_every_truncation_is_noticed(protocol):
    data = pickle.dumps(SAMPLE, protocol)
    for length in range(len(data)):
        with pytest.raises(CorruptFileError, match="the test"):
            loads(data[:length])


@settings(max_examples=600, deadline=2000)
@given(st.binary(max_size=200))
def test_random_bytes_do_no_harm(data):
    try:
        loads(data)
    except (CorruptFileError, UnsafeContentError):
        pass


@settings(max_examples=600, deadline=2000)
@given(st.integers(0, 5), st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_do_no_harm(protocol, changes):
    data = bytearray(pickle.dumps(SAMPLE, protocol))
    for position, value in changes:
        data[position % len(data)] = value
    try:
        loads(bytes(data))
    except (CorruptFileError, UnsafeContentError):
        pass


instructions = st.sampled_from(
    [bytes((op,)) for op in b"()]}tedsuabRQ012NlpqgG\x81\x85\x86\x87\x8f\x90\x91\x92\x93\x94"]
    + [b"K\x01", b"X\x01\x00\x00\x00a", b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"cbuiltins\nset\n", b"ccollections\nOrderedDict\n"]
    + [b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy._core.multiarray\n_reconstruct\n", b"cnumpy._core.multiarray\nscalar\n"]
    + [b"c_codecs\nencode\n", b"cbuiltins\nbytearray\n", b"ccollections\ndefaultdict\n", b"ctypes\nSimpleNamespace\n"]
)


@settings(max_examples=800, deadline=2000)
@given(st.lists(instructions, max_size=40))
def test_random_programs_do_no_harm(program):
    try:
        loads(b"\x80\x04" + b"".join(program) + b".")
    except (CorruptFileError, UnsafeContentError):
        pass


def test_keys_that_would_overflow_the_stack_or_never_end_are_refused():
    deep = b"\x80\x02}(" + b")" + b"\x85" * 200_000 + b"K\x01u."
    wide = b"\x80\x02})" + b"".join(b"q%c\x30h%ch%c\x86" % (i % 256, i % 256, i % 256) for i in range(60)) + b"K\x01s."
    members = b"\x80\x04\x8f()" + b"\x85" * 200_000 + b"\x90."
    called = b"\x80\x02c__builtin__\nset\n]()" + b"\x85" * 200_000 + b"e\x85R."
    for data in (deep, wide, members, called):
        with pytest.raises(CorruptFileError, match="nested too deeply"):
            loads(data)


def test_sizes_that_are_not_there_allocate_nothing():
    huge = b"\xff\xff\xff\xff\xff\xff\x00\x00"
    for data in (b"\x8e" + huge, b"\x96" + huge + b"ab.", b"\x8b\xff\xff\xff\x7f.", b"T\xff\xff\xff\xff.", b"r\xff\xff\xff\xff."):
        with pytest.raises(CorruptFileError):
            loads(b"\x80\x04" + data)
    for data in (b"\x80\x02cbuiltins\nbytearray\nM\xff\xff\x85R.", b"\x80\x02cbuiltins\nbytes\nJ\xff\xff\xff\x7f\x85R."):
        with pytest.raises(CorruptFileError, match="expected the content"):
            loads(data)


def test_many_slots_of_the_memo():
    many = [f"text {n}" for n in range(1000)]
    obj = [many, list(many)]
    assert loads(dumps(obj)) == obj and pickle.loads(dumps(obj)) == obj
