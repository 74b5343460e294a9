"""Legacy constructors, classes of tensors by type, storages."""

import copy
import ctypes

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same, same_error  # noqa: E402

CONSTRUCTORS = {
    "nothing": lambda T: T.Tensor(),
    "a list": lambda T: T.Tensor([1, 2]),
    "a tuple": lambda T: T.Tensor((2, 3)),
    "nested lists": lambda T: T.FloatTensor([[1, 2], [3, 4]]),
    "a range": lambda T: T.Tensor(range(3)),
    "an array": lambda T: T.Tensor(np.array([1.5, 2])),
    "an array of integers": lambda T: T.Tensor(np.array([1, 2])),
    "a list of arrays": lambda T: T.LongTensor([np.array([1, 2]), np.array([3, 4])]),
    "floats as integers": lambda T: T.LongTensor([1.7, -2.7]),
    "an array of floats as integers": lambda T: T.LongTensor(np.array([1.7, 2])),
    "numbers as bools": lambda T: T.BoolTensor([1, 0]),
    "bytes": lambda T: T.ByteTensor([1, 255]),
    "doubles": lambda T: T.DoubleTensor([1, 2.5]),
    "halves": lambda T: T.HalfTensor([1, 2.5]),
    "tensors of one element": lambda T: T.FloatTensor([T.tensor(1), T.tensor([2.0])]),
    "new": lambda T: T.ones(2).new([1, 2]),
    "new of another type": lambda T: T.ones(2, dtype=T.long).new([1.5]),
    "new of nothing": lambda T: T.ones(2).new(),
    "sizes": lambda T: list(T.Tensor(2, 3).shape),
    "one size": lambda T: list(T.FloatTensor(5).shape),
    "a NumPy size": lambda T: list(T.Tensor(np.int64(3)).shape),
    "a Size": lambda T: list(T.Tensor(T.Size([2, 3])).shape),
    "sizes for new": lambda T: list(T.ones(1).new(2, 2).shape),
    "sizes by tensors": lambda T: list(T.Tensor(2, T.tensor(3)).shape),
    "a device": lambda T: list(T.Tensor(2, 3, device="cpu").shape),
    "a storage": lambda T: T.FloatTensor(T.ones(2).untyped_storage()) if T is ours else T.ones(2),
}


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy")
@pytest.mark.parametrize("make", CONSTRUCTORS.values(), ids=CONSTRUCTORS)
def test_constructors(make):
    same(make)


ERRORS = {
    "a float": lambda T: T.Tensor(5.0),
    "None": lambda T: T.Tensor(None),
    "a bool": lambda T: T.Tensor(True),
    "a string": lambda T: T.Tensor("a"),
    "a negative size": lambda T: T.Tensor(-1),
    "ragged lists": lambda T: T.Tensor([[1, 2], [3]]),
}


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS)
def test_errors(make):
    same_error(make)


def test_other_types_are_refused():
    for make in (lambda T: T.LongTensor(T.tensor([1.0])), lambda T: T.ones(1).new(T.tensor([1])), lambda T: T.Tensor(2.5, 3)):
        for lib in (torch, ours):
            with pytest.raises(TypeError):
                make(lib)
    with pytest.raises(RuntimeError, match="without overflow"):
        ours.ByteTensor([300])


def test_a_tensor_is_shared():
    def run(T):
        x = T.ones(2)
        T.Tensor(x)[0] = 5
        x.new(x)[1] = 6
        return x, T.Tensor(T.tensor([1, 2]))

    same(run)


def test_classes():
    x = ours.ones(2)
    assert isinstance(x, ours.FloatTensor) and isinstance(ours.nn.Parameter(x), ours.FloatTensor) and isinstance(x, ours.Tensor)
    assert not isinstance(x, ours.DoubleTensor) and not isinstance(1.0, ours.FloatTensor) and not isinstance(x, ours.cuda.FloatTensor)
    assert isinstance(x, (ours.LongTensor, ours.FloatTensor))
    assert repr(ours.FloatTensor) == repr(torch.FloatTensor) and ours.LongTensor.dtype is ours.int64 and not ours.FloatTensor.is_cuda
    assert (
        x.type() == "torch.FloatTensor"
        and x.type(ours.LongTensor).dtype is ours.int64
        and x.type("torch.DoubleTensor").dtype is ours.float64
        and x.long().type(ours.Tensor).dtype is ours.float32
    )
    with pytest.raises(ValueError, match="invalid type: 'Parameter'"):
        x.type(ours.nn.Parameter)
    assert type(ours.Tensor(2)) is ours.Tensor


def test_subclasses():
    class Named(ours.Tensor):
        def __init__(self, data, label="?"):  # `name` belongs to the tensor, as in PyTorch
            self.label = label

        def twice(self):
            return self * 2

    t = Named([1.0, 2.0], label="n")
    with pytest.raises(AttributeError):
        t.name = "n"
    assert type(t) is Named and t.label == "n" and t.twice().tolist() == [2.0, 4.0]
    x = ours.ones(2, requires_grad=True)
    y = (x * 3).as_subclass(Named)
    assert type(y) is Named
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    made = ours.Tensor._make_subclass(ours.nn.Parameter, ours.ones(2), True)
    assert type(made) is ours.nn.Parameter and made.requires_grad
    assert type(copy.deepcopy(t)) is Named


def test_default_tensor_type():
    try:
        ours.set_default_tensor_type(ours.DoubleTensor)
        assert ours.tensor(1.0).dtype is ours.float64 and ours.Tensor([1]).dtype is ours.float64
        ours.set_default_tensor_type("torch.FloatTensor")
        assert ours.get_default_dtype() is ours.float32
    finally:
        ours.set_default_dtype(ours.float32)
    for wrong, message in ((ours.LongTensor, "only floating-point"), ("torch.Foo", "invalid type name"), (3, "invalid type object")):
        with pytest.raises(TypeError, match=message):
            ours.set_default_tensor_type(wrong)


# ---------------------------------------------------------------- storages
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_storages():
    def run(T):
        x = T.arange(6.0).reshape(2, 3)
        s, u = x[1].storage(), x[1].untyped_storage()
        return (
            [s.tolist(), s[2], len(s), s.size(), s.nbytes(), str(s.dtype), s.element_size()],
            [u.nbytes(), u.size(), len(u), u[6], u.tolist(), u.element_size()],
            s.data_ptr() == u.data_ptr() == x.data_ptr(),
            x.untyped_storage().data_ptr() == x.t().untyped_storage().data_ptr(),
            x.untyped_storage().data_ptr() == x.clone().untyped_storage().data_ptr(),
            [T.is_storage(s), T.is_storage(u), T.is_storage(x)],
            repr(s),
            repr(u),
        )

    same(run)


def elements(t):
    """What is at a tensor's address, read as C code would."""
    kind = {ours.float32: ctypes.c_float, ours.float64: ctypes.c_double, ours.bfloat16: ctypes.c_int16}[t.dtype]
    return list((kind * t.untyped_storage().nbytes()).from_address(t.data_ptr())[: t.numel()])


def test_an_address_can_be_read_and_stays():
    x = ours.randn(3, 4)
    address = x.data_ptr()
    assert address % 64 == 0 and elements(x) == x.flatten().tolist()
    for write in (lambda: x.add_(1), lambda: x[1].fill_(2.0), lambda: x.t().copy_(ours.randn(4, 3)), lambda: x.view(-1)[3:5].zero_()):
        write()
        assert x.data_ptr() == address == x.untyped_storage().data_ptr() and elements(x) == x.flatten().tolist()
    assert x[1:].data_ptr() - address == 16 and elements(x[1:]) == x[1:].flatten().tolist()
    assert x.t().contiguous().data_ptr() != address and x.clone().data_ptr() != address
    assert elements(x.double() * 3) == (x.double() * 3).flatten().tolist()
    assert elements(x.bfloat16()) == x.bfloat16().view(ours.int16).flatten().tolist()
    p = ours.nn.Parameter(x)
    assert p.data_ptr() == address
    optimizer = ours.optim.SGD([p], 0.5)
    for _ in range(3):
        p.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        assert p.data_ptr() == address and elements(p.detach()) == p.flatten().tolist() == x.flatten().tolist()
    x = ours.zeros(3)
    shared = x.numpy()
    assert x.data_ptr() == shared.ctypes.data
    assert ours.empty(0).data_ptr() == x[3:].data_ptr() == ours.empty(0).untyped_storage().data_ptr() == 0


@pytest.mark.filterwarnings("ignore:torch.asarray. unspecified requires_grad")
@pytest.mark.filterwarnings("ignore:The given buffer is not writable")
def test_asarray():
    def run(T):
        a = T.ones(2, requires_grad=True)
        c = a * 2
        array = np.arange(4.0)
        shared = T.asarray(array)
        array[0] = 7
        found = [
            T.asarray(a) is a, T.asarray(c) is c, T.asarray(c, copy=True), T.asarray(a, requires_grad=False).requires_grad, shared,
            T.asarray(array, dtype=T.float32, requires_grad=True), T.asarray(array, copy=True).data_ptr() == shared.data_ptr(),
            T.asarray([1.0, 2], requires_grad=True), T.asarray(3), T.asarray([[1, 2], [3, 4]], dtype=T.float64), T.asarray(np.float32(3)),
            T.asarray(b"abcdefgh", dtype=T.int32), T.asarray(bytearray(b"abcdefgh")), T.asarray([T.tensor(1.0), 2]),
            T.asarray(T.ones(2).untyped_storage(), dtype=T.uint8), T.asarray(T.ones(2).untyped_storage(), dtype=T.int16),
        ]  # fmt: skip
        for wrong in (
            lambda: T.asarray(c, copy=False, dtype=T.float64), lambda: T.asarray([1, 2], copy=False), lambda: T.asarray(b"abc"),
            lambda: T.asarray(np.arange(3), requires_grad=True),
        ):  # fmt: skip
            with pytest.raises((ValueError, RuntimeError)) as error:
                wrong()
            found += [type(error.value).__name__, str(error.value).lower()]
        return found

    same(run)


def test_a_storage_over_a_file(tmp_path):
    weights = np.arange(6, dtype=np.float32)
    (tmp_path / "weights").write_bytes(b"head" + weights.tobytes() + b"tail")

    def run(T):
        storage = T.UntypedStorage.from_file(str(tmp_path / "weights"), shared=False, nbytes=30)
        part = storage[4:28]
        read = T.asarray(part, dtype=T.uint8).view(dtype=T.float32).reshape(2, 3)
        read.mul_(2)
        p = T.nn.Parameter(read)
        optimizer = T.optim.SGD([p], 0.25)
        for _ in range(2):
            (p * p).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        with pytest.raises(RuntimeError, match="smaller than the required mapping size"):
            T.UntypedStorage.from_file(str(tmp_path / "weights"), shared=False, nbytes=100)
        storage = T.UntypedStorage.from_file(str(tmp_path / "weights"), shared=False, nbytes=30)
        part = storage[4:28]
        half = T.asarray(storage[4:8], dtype=T.float16)
        return [len(storage), storage[0], part.nbytes(), part.tolist(), read, p, half, isinstance(part, T.UntypedStorage)]

    same(run)
    assert (tmp_path / "weights").read_bytes() == b"head" + weights.tobytes() + b"tail"
    for T in (torch, ours):
        storage = T.UntypedStorage.from_file(str(tmp_path / T.__name__), shared=True, nbytes=8)
        made = T.asarray(storage, dtype=T.float32)
        made.fill_(1.0)
        ours.sync()
        assert np.fromfile(tmp_path / T.__name__, np.float32).tolist() == [1.0, 1.0]


def test_bytes_read_as_numbers_become_a_parameter():
    def run(T):
        data = T.arange(24, dtype=T.uint8)
        p = T.nn.Parameter((data.view(T.float16) * 1e3).clone().view(T.int16).view(T.float16)[2:8])
        (p * p).sum().backward()
        leaf = data.view(T.float32).requires_grad_()
        (leaf * 3).sum().backward()
        return [p, p.grad, leaf.is_leaf, leaf.grad, data]

    same(run)


def test_a_storage_follows_writes():
    x = ours.zeros(2)
    s = x.untyped_storage()
    x.fill_(1.0)
    assert s.tolist() == [0, 0, 128, 63] * 2
    x.bfloat16().storage().tolist()


def test_storages_cannot_be_resized():
    with pytest.raises(ours.Unsupported, match="resize_"):
        ours.ones(2).untyped_storage().resize_(0)


def test_set():
    def run(T):
        a, b, c, d = T.zeros(2), T.zeros(2), T.zeros(2), T.arange(6.0)
        b.set_(d)
        b[0] = 7
        c.set_(d.untyped_storage() if T is torch else d.storage(), 1, (2, 2), (2, 1))
        c[1, 1] = -1
        return a.set_(), b, c, d, b.is_set_to(d), c.is_set_to(d), d.is_set_to(d.view(6)), d.is_set_to(d.view(2, 3))

    same(run)


def test_set_errors():
    with pytest.raises(RuntimeError, match="Could not set tensor of type"):
        ours.zeros(2).set_(ours.tensor([1, 2]))
    with pytest.raises(RuntimeError, match="leaf Variable"):
        ours.zeros(2, requires_grad=True).set_(ours.ones(2))
    with pytest.raises(RuntimeError, match="out of bounds for storage"):
        ours.zeros(2).set_(ours.ones(2).storage(), 0, (5,))


@pytest.mark.parametrize("kind", ["uint16", "uint32", "uint64"])
def test_unsigned_arrays_are_converted_where_another_type_is_asked_for(kind):
    array = np.array([1, 2], kind)
    made = [ours.tensor(array, dtype=ours.float32), ours.as_tensor(array, dtype=ours.int64), ours.asarray(array, dtype=ours.uint8)]
    made += [ours.FloatTensor(array), ours.LongTensor(array), ours.Tensor(array)]
    assert [t.tolist() for t in made] == [[1, 2]] * 6
    with pytest.raises(TypeError, match=kind):
        ours.tensor(array)


def test_the_first_of_nested_lists_may_be_empty():
    assert ours.tensor([[], [1]]).shape == (2, 0) and ours.tensor([[], [1]]).dtype == ours.float32
    assert ours.Tensor([2**64]).item() == 2.0**64


def test_the_size_may_be_named():
    same(lambda T: [T.ones(1).new(size=(3, 4)).shape, T.ones(1).int().new(size=[2], device="cpu").dtype, T.Tensor(size=(3, 4)).shape])
    same(lambda T: T.ones(1).new(size=3))
    same(lambda T: T.ones(1).new(3, size=(3,)))
    assert ours.ones(10).storage().__sizeof__() - ours.ones(0).storage().__sizeof__() == 40
    assert ours.ones(10).untyped_storage().__sizeof__() - ours.ones(0).untyped_storage().__sizeof__() == 40
