"""Storages that are made by themselves, and tensors over files, compared with PyTorch."""

import copy
import pickle

import numpy as np
import pytest

from .compare import same

torch = pytest.importorskip("torch")
import torchlike_asg as ours  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated", "ignore::UserWarning")
NAMES = "Float Double Half BFloat16 Int Long Short Char Byte Bool ComplexFloat ComplexDouble".split()


def _shown(s):
    return [s.tolist(), len(s), s.nbytes(), str(getattr(s, "dtype", None)), str(s.device), s.type(), s.element_size()]


@pytest.mark.parametrize("name", NAMES)
def test_by_name(name):
    def run(T):
        kind = getattr(T, f"{name}Storage")
        s = kind([1, 0, 2])
        x = T.tensor([], dtype=s.dtype).set_(s)
        x[1] = 1
        return [
            _shown(s), kind().size(), kind(4).size(), isinstance(s, kind), isinstance(s, T.TypedStorage), type(s) is T.TypedStorage,
            [isinstance(s, getattr(T, f"{other}Storage")) for other in NAMES], kind.dtype is s.dtype, s.pickle_storage_type(),
            isinstance(T.ones(1, dtype=s.dtype).storage(), kind), T.is_storage(s), kind(wrap_storage=T.UntypedStorage(33)).size(),
        ]  # fmt: skip

    same(run)


MADE = {
    "bytes": lambda T: _shown(T.UntypedStorage([1, 300, -1])),
    "no bytes": lambda T: _shown(T.UntypedStorage()),
    "so many bytes": lambda T: T.UntypedStorage(5).nbytes(),
    "on the meta device": lambda T: [T.UntypedStorage(5, device="meta").nbytes(), str(T.TypedStorage(2, device="meta").device)],
    "bytes of what is none": lambda T: T.UntypedStorage([1.5]),
    "bytes of a tensor": lambda T: T.UntypedStorage(T.ones(2)),
    "bytes of a float": lambda T: T.UntypedStorage(2.5),
    "typed": lambda T: [_shown(T.TypedStorage([1.5, 2], dtype=T.float64)), T.TypedStorage(5, dtype=T.int8).size()],
    "typed by default": lambda T: str(T.TypedStorage(2).dtype),
    "typed of bytes": lambda T: _shown(T.TypedStorage(wrap_storage=T.UntypedStorage([1, 0, 2, 0, 3]), dtype=T.int16)),
    "wrapped without a type": lambda T: T.TypedStorage(wrap_storage=T.UntypedStorage(4)),
    "wrapped numbers": lambda T: T.TypedStorage(wrap_storage=T.FloatStorage(4), dtype=T.int8),
    "two arguments": lambda T: T.FloatStorage(2, 3),
    "a type twice": lambda T: T.FloatStorage(2, dtype=T.int8),
    "an unknown keyword": lambda T: T.FloatStorage(size=2),
    "an array": lambda T: T.FloatStorage(np.ones(2)),
    "a tensor": lambda T: T.TypedStorage(T.ones(2)),
    "a type that is none": lambda T: T.TypedStorage(2, dtype="float32"),
    "a text": lambda T: T.FloatStorage("ab"),
    "converted": lambda T: [
        _shown(getattr(T.FloatStorage([1, 2.6, 0]), m)())
        for m in "double half bfloat16 int long short char byte bool complex_float complex_double".split()
    ],
    "bytes as numbers": lambda T: _shown(T.UntypedStorage([0, 0, 128, 63]).float()),
    "written": lambda T: (lambda s: [s.__setitem__(slice(0, 2), 9), s.__setitem__(2, 4), s.tolist(), s[-1]])(T.FloatStorage([1, 2, 3])),
    "out of range": lambda T: T.FloatStorage([1])[3],
    "a byte out of range": lambda T: T.UntypedStorage([1])[-2],
    "sliced": lambda T: T.FloatStorage([1, 2, 3])[0:2],
    "compared": lambda T: [T.FloatStorage([1]) == T.FloatStorage([1]), 1.0 in T.FloatStorage([1])],
    "copied": lambda T: [copy.deepcopy(T.FloatStorage([1, 2])).tolist(), copy.copy(T.UntypedStorage([1, 2])).tolist()],
    "pickled": lambda T: pickle.loads(pickle.dumps(T.LongStorage([1, 2]))).tolist(),
    "shown by tensors": lambda T: [T.FloatTensor(T.FloatStorage([1, 2])), T.Tensor(T.FloatStorage([3]))],
    "shown by another type": lambda T: T.LongTensor(T.FloatStorage([1, 2])),
    "of a buffer": lambda T: [
        T.FloatStorage.from_buffer(b"\0\0\x80\x3f", "little").tolist(),
        T.ShortStorage.from_buffer(b"\0\1\0\2", "big").tolist(),
        T.TypedStorage.from_buffer(b"\1\0", byte_order="little", dtype=T.int16).tolist(),
    ],
    "questions": lambda T: [
        T.FloatStorage(1).is_cuda, T.UntypedStorage(1).is_shared(), T.UntypedStorage(1).filename, T.UntypedStorage(1).type(),
        T.FloatStorage(1).is_sparse, T.FloatStorage(1).get_device(), T.FloatStorage().data_ptr(), T.UntypedStorage(2).cpu().nbytes(),
    ],
}  # fmt: skip


@pytest.mark.parametrize("run", MADE.values(), ids=MADE)
def test_made(run):
    same(run)


def test_refused():
    with pytest.raises(NotImplementedError, match="slice a tensor"):
        ours.UntypedStorage([1, 2, 3])[0:2]
    with pytest.raises(RuntimeError, match="does not fit"):
        ours.FloatStorage(3).copy_(ours.FloatStorage(1))
    with pytest.raises(NotImplementedError, match="save a tensor over it"):
        ours.save({"s": ours.FloatStorage(3)}, "never written")


# ---------------------------------------------------------------- files
@pytest.fixture
def numbers(tmp_path):
    path = tmp_path / "numbers"
    np.arange(6, dtype=np.float64).tofile(path)
    return str(path)


def test_a_tensor_of_a_file(numbers):
    def run(T):
        x = T.from_file(numbers, size=4, dtype=T.float64)
        x[0] = 7
        y = T.from_file(numbers, False, 2, dtype=T.float64, requires_grad=True)
        return [
            x, y, y.is_leaf, T.from_file(numbers, size=3, dtype=T.complex128), T.from_file(numbers, size=8, dtype=T.bfloat16),
            T.from_file(numbers, size=16, dtype=T.bool), T.from_file(numbers), T.DoubleStorage.from_file(numbers, False, 3).tolist(),
        ]  # fmt: skip

    same(run)
    assert np.fromfile(numbers)[0] == 0


def test_a_tensor_that_is_a_file(numbers, tmp_path):
    def run(T):
        np.arange(6, dtype=np.float64).tofile(numbers)
        x = T.from_file(numbers, shared=True, size=4, dtype=T.float64)
        x.mul_(2).add_(1)
        if T is ours:
            T.asg.sync()
        found = np.fromfile(numbers).tolist()
        np.memmap(numbers, np.float64, "r+")[1] = 50
        again = T.from_file(numbers, shared=True, size=4, dtype=T.float64)
        x[0] = -1
        seen = [found, x, again]
        made = str(tmp_path / T.__name__)
        T.from_file(made, shared=True, size=3)
        return [*seen, np.fromfile(made, np.float32).tolist()]

    same(run)


@pytest.mark.parametrize(
    "call",
    [
        lambda T, path: T.from_file(path + "/no", size=2),
        lambda T, path: T.from_file(path + "/no", shared=True, size=2),
        lambda T, path: T.from_file(path, size=50),
        lambda T, path: T.from_file(path, size=-1),
        lambda T, path: T.from_file(path, size=1, pin_memory=True),
        lambda T, path: T.from_file(path, size=1, device="meta"),
        lambda T, path: T.from_file(3, size=1),
        lambda T, path: T.TypedStorage.from_file(path, False, 2),
    ],
)
def test_files_refused(call, numbers):
    same(lambda T: call(T, numbers))
