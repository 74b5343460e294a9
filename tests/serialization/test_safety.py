"""Hostile files: nothing is executed, and every failure names the file."""

import builtins
import io
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.errors import Unsupported
from torchlike_asg.serialization import (
    CorruptFileError,
    UnsafeContentError,
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    get_unsafe_globals_in_checkpoint,
    load,
    safe_globals,
    save,
)
from torchlike_asg.serialization.legacy import MAGIC

torch = pytest.importorskip("torch")
EXPECTED = (CorruptFileError, UnsafeContentError, Unsupported)


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


class Stateful:
    executed = False

    def __setstate__(self, state):
        Stateful.executed = True


def payloads(marker):
    command = f"echo x > {marker}"
    return {
        "system": Call(os.system, command),
        "popen": Call(subprocess.getoutput, command),
        "eval": Call(eval, f"open({str(marker)!r}, 'w')"),
        "exec": Call(exec, f"open({str(marker)!r}, 'w')"),
        "open": Call(open, str(marker), "w"),
        "import": Call(__import__, "antigravity"),
        "getattr": Call(getattr, Call(__import__, "os"), "system"),
        "breakpoint": Call(builtins.breakpoint),
        "write": Call(np.save, str(marker), 1),
        "torch.load": Call(torch.load, str(marker)),
        "nested": {"state_dict": [Call(os.system, command)]},
        "setstate": Stateful(),
        "class": {"c": Stateful},
    }


NAMES = list(payloads("x"))


def as_zip(pickled, root="archive"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{root}/data.pkl", pickled)
        archive.writestr(f"{root}/version", "3\n")
    return buffer.getvalue()


def as_legacy(pickled):
    return b"".join(pickle.dumps(x, 2) for x in (MAGIC, 1001, {})) + pickled + pickle.dumps([], 2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrap", [as_zip, as_legacy])
@pytest.mark.parametrize("weights_only", [None, True, False])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_in_files_is_never_executed(name, wrap, weights_only, protocol, tmp_path):
    marker = tmp_path / "executed"
    Stateful.executed = False
    (tmp_path / "bad.pt").write_bytes(wrap(pickle.dumps(payloads(marker)[name], protocol)))
    with pytest.raises((UnsafeContentError, CorruptFileError), match=r"bad\.pt"):
        load(tmp_path / "bad.pt", weights_only=weights_only)
    assert not marker.exists() and not Stateful.executed and "antigravity" not in sys.modules
    if protocol:
        assert get_unsafe_globals_in_checkpoint(tmp_path / "bad.pt")
        assert not marker.exists() and not Stateful.executed


def test_the_refusal_says_what_and_what_to_do(tmp_path):
    (tmp_path / "bad.pt").write_bytes(as_zip(pickle.dumps(Call(os.system, "true"))))
    with pytest.raises(pickle.UnpicklingError) as caught:
        load(tmp_path / "bad.pt")
    message = str(caught.value)
    assert all(text in message for text in ("bad.pt", f"{os.system.__module__}.system", "state_dict", "add_safe_globals"))
    assert get_unsafe_globals_in_checkpoint(tmp_path / "bad.pt") == [f"{os.system.__module__}.system"]


def test_instructions_that_fetch_from_the_extension_registry_or_old_instances_are_refused():
    for code in (b"\x82\x01.", b"\x83\x01\x00.", b"\x84\x01\x00\x00\x00.", b"(ios\nsystem\n.", b"(cos\nsystem\no.", b"Pabc\n."):
        with pytest.raises((CorruptFileError, UnsafeContentError)):
            load(io.BytesIO(as_zip(b"\x80\x02" + code)))


@pytest.mark.parametrize(
    "program",
    [
        b"cnumpy\ndtype\nX\x01\x00\x00\x00O\x89\x88\x87R.",  # an object dtype
        b"cnumpy\ndtype\nX\x05\x00\x00\x00f4,O4\x89\x88\x87R.",
        b"cnumpy\ndtype\nX\x02\x00\x00\x00f4\x89\x88\x87R(K\x03X\x01\x00\x00\x00|NN}J\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb.",
        b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x05\x85\x8c\x01b\x87R.",
        b"cnumpy._core.multiarray\n_reconstruct\nccollections\nOrderedDict\nK\x00\x85\x8c\x01b\x87R.",
        b"cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\nX\x02\x00\x00\x00f8\x89\x88\x87RC\x01a\x86R.",  # bytes are missing
        b"ccollections\ndefaultdict\nccollections\nCounter\n\x85R.",
        b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"ctorch._utils\n_rebuild_parameter\n(NNNtR.",
        b"ctorch._tensor\n_rebuild_from_type_v2\n(c_codecs\nencode\nctorch\nTensor\nX\x01\x00\x00\x00a\x85NtR.",
        b"ctorch\nSize\nX\x01\x00\x00\x00a\x85R.",
        b"ctorch\ndevice\nX\x01\x00\x00\x00a\x85R.",
        b"ctorch\nfloat32\n)R.",  # a dtype is not callable
        b"ctorch\nfloat32\n}b.",
        b"ccollections\nOrderedDict\n)\x81.",
        b"]}b.",
        b"K\x01)R.",
        b"ctorch\nTensor\n)\x81}b.",
    ],
)
def test_allowed_things_cannot_be_misused(program):
    with pytest.raises((CorruptFileError, UnsafeContentError)):
        load(io.BytesIO(as_zip(b"\x80\x04" + program)))


def tensor_pickle(numel, offset, size, stride, kind="FloatStorage", key="0"):
    """A pickle of one tensor with these numbers, and the 16-byte storage it refers to."""
    from torchlike_asg.serialization.writer import GlobalName, PersistentId, PickleWriter, Reduce

    reference = PersistentId(("storage", GlobalName("torch", kind), key, "cpu", numel))
    tensor = Reduce(GlobalName("torch._utils", "_rebuild_tensor_v2"), (reference, offset, size, stride, False, {}))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", PickleWriter(lambda x: None).dumps(tensor))
        archive.writestr("a/data/0", b"\0" * 16)
    buffer.seek(0)
    return buffer


def test_tensors_cannot_reach_outside_their_storage():
    assert load(tensor_pickle(4, 0, (2, 2), (2, 1))).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    bad = [
        (4, 1, (4,), (1,)),
        (4, -1, (2,), (1,)),
        (4, 0, (4,), (2,)),
        (4, 0, (2,), (-1,)),
        (4, 0, (-2,), (1,)),
        (4, 0, (2, 2), (1,)),
        (4, 0, (2**40,), (1,)),
        (4, 0, (2**63, 2**63), (2**63, 1)),
        (4, 0, (1.0,), (1,)),
        (4, 0, [4], (1,)),
        (4, 0, (True,), (1,)),
        (4, 10**30, (1,), (1,)),
        (5, 0, (4,), (1,)),
        (3, 0, (1,), (1,)),
        (2**62, 0, (1,), (1,)),
        (-4, 0, (1,), (1,)),
        (4, 0, (1,), (1,), "FloatStorage", "1"),
        (4, 0, (1,), (1,), "FloatStorage", "../data.pkl"),
        (4, 0, (1,), (1,), "DoubleStorage"),
        (4, 0, (1,), (1,), "Size"),
    ]
    for numbers in bad:
        with pytest.raises((CorruptFileError, UnsafeContentError)):
            load(tensor_pickle(*numbers))


def test_expanded_tensors_do_not_allocate_their_logical_size():
    found = load(tensor_pickle(4, 0, (2**20, 2**20), (0, 0)))
    assert tuple(found.shape) == (2**20, 2**20) and tuple(found.stride()) == (0, 0)


def test_booleans_that_are_neither_are_made_true():
    buffer = io.BytesIO()
    with zipfile.ZipFile(tensor_pickle(16, 0, (16,), (1,), "BoolStorage")) as old, zipfile.ZipFile(buffer, "w") as new:
        new.writestr("a/data.pkl", old.read("a/data.pkl"))
        new.writestr("a/data/0", bytes(range(16)))
    buffer.seek(0)
    assert load(buffer).tolist() == [False] + [True] * 15


# -- the list of safe globals -------------------------------------------------------------------------------------------


class Settings:
    __slots__ = ("rate",)

    def __init__(self, rate):
        self.rate = rate


class Record(dict):
    pass


def twice(x):
    return 2 * x


class Fussy:
    def __setstate__(self, state):
        raise TypeError("no thanks")


@pytest.fixture
def clean_list():
    clear_safe_globals()
    yield
    clear_safe_globals()


def test_listed_classes_and_functions_are_called(clean_list, tmp_path):
    record = Record(a=1)
    record.note = "n"
    save([Settings(0.5), Call(twice, 21), record, ours.ones(1)], tmp_path / "s.pt")
    with pytest.raises(UnsafeContentError, match="Settings"):
        load(tmp_path / "s.pt")
    add_safe_globals([Settings, twice])
    with pytest.raises(UnsafeContentError, match="Record"):
        load(tmp_path / "s.pt")
    with safe_globals([Record]):
        assert set(get_safe_globals()) == {Settings, twice, Record}
        mine = load(tmp_path / "s.pt")
    assert set(get_safe_globals()) == {Settings, twice}
    assert mine[0].rate == 0.5 and mine[1] == 42 and mine[2] == {"a": 1} and mine[2].note == "n" and mine[3].tolist() == [1.0]
    assert get_unsafe_globals_in_checkpoint(tmp_path / "s.pt") == [f"{__name__}.Record"]
    clear_safe_globals()
    assert get_safe_globals() == []


def test_pairs_name_what_has_moved(clean_list):
    renamed = as_zip(pickle.dumps(Settings(1.0), 2).replace(__name__.encode(), b"old_place"))
    with pytest.raises(UnsafeContentError, match=r"old_place\.Settings"):
        load(io.BytesIO(renamed))
    add_safe_globals([(Settings, "old_place.Settings")])
    assert load(io.BytesIO(renamed)).rate == 1.0 and get_safe_globals() == [(Settings, "old_place.Settings")]


def test_errors_of_listed_classes_are_not_taken_for_damage(clean_list):
    add_safe_globals([Fussy])
    fussy = Fussy()
    fussy.__dict__["a"] = 1
    with pytest.raises(RuntimeError, match=r"rebuilding .*Fussy failed: TypeError: no thanks") as caught:
        load(io.BytesIO(as_zip(pickle.dumps(fussy))))
    assert not isinstance(caught.value, CorruptFileError)


def test_only_classes_functions_and_pairs_can_be_listed(clean_list):
    for bad in (5, "os.system"):
        with pytest.raises(TypeError, match="class or a function"):
            add_safe_globals([bad])
    with pytest.raises(ValueError, match="pair"):
        add_safe_globals([(Settings, 5)])
    assert get_safe_globals() == []
