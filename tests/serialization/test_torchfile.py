"""save and load against real torch, in both directions: tensors."""

import io
import pickle

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.errors import Unsupported
from torchlike_asg.serialization import CorruptFileError, UnsafeContentError, load, safe_globals, save

torch = pytest.importorskip("torch")

SHAPES = [(), (0,), (1,), (3, 4), (2, 0, 3), (2, 3, 4)]


def via_buffer(obj, **keywords):
    buffer = io.BytesIO()
    save(obj, buffer, **keywords)
    buffer.seek(0)
    return buffer


# -- tensors, ours to torch and back --------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_every_dtype_and_shape_is_read_by_torch(tools, zipped, tmp_path):
    pairs = {f"{name}{shape}": tools.example(name, shape) for name in tools.names for shape in SHAPES}
    save({key: mine for key, (mine, _) in pairs.items()}, tmp_path / "t.pt", _use_new_zipfile_serialization=zipped)
    found = torch.load(tmp_path / "t.pt", weights_only=True)
    assert list(found) == list(pairs)
    for key, (mine, theirs) in pairs.items():
        assert tools.same(mine, found[key]) and tools.same(mine, theirs), key


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_every_dtype_and_shape_of_torch_is_read(tools, zipped, tmp_path):
    pairs = {f"{name}{shape}": tools.example(name, shape) for name in tools.names for shape in SHAPES}
    torch.save({key: theirs for key, (_, theirs) in pairs.items()}, tmp_path / "t.pt", _use_new_zipfile_serialization=zipped)
    found = load(tmp_path / "t.pt")
    for key, (_, theirs) in pairs.items():
        assert tools.same(found[key], theirs), key


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_views_share_storage_after_loading_in_torch(zipped, tmp_path):
    base = ours.arange(12.0)
    views = {"base": base, "rows": base.view(3, 4), "turned": base.view(3, 4).t(), "part": base[2:8:2], "wide": base[:3].expand(2, 3)}
    save(views, tmp_path / "v.pt", _use_new_zipfile_serialization=zipped)
    found = torch.load(tmp_path / "v.pt", weights_only=True)
    for name, view in views.items():
        assert np.array_equal(found[name].numpy(), view.numpy()), name
        assert found[name].stride() == tuple(view.stride()) and found[name].storage_offset() == view.storage_offset()
        assert found[name].untyped_storage().data_ptr() == found["base"].untyped_storage().data_ptr()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("whole_first", [True, False])
def test_views_of_torch_share_storage_after_loading(zipped, whole_first, tmp_path):
    base = torch.arange(12.0)
    views = {"rows": base.view(3, 4), "turned": base.view(3, 4).t(), "part": base[2:8:2], "wide": base[:3].expand(2, 3), "base": base}
    if whole_first:
        views = dict(reversed(views.items()))
    torch.save(views, tmp_path / "v.pt", _use_new_zipfile_serialization=zipped)
    found = load(tmp_path / "v.pt")
    for name, view in views.items():
        assert tuple(found[name].shape) == tuple(view.shape) and tuple(found[name].stride()) == view.stride(), name
        assert np.array_equal(found[name].numpy(), view.numpy()), name
    found["base"].mul_(2)
    views["base"].mul_(2)
    found["turned"][1, 2] = -1.0
    views["turned"][1, 2] = -1.0
    for name, view in views.items():
        assert np.array_equal(found[name].numpy(), view.numpy()), name


def test_identity_is_kept_within_a_file():
    t, inner = ours.ones(3), [1, 2]
    found = load(via_buffer({"a": t, "b": t, "x": inner, "y": inner}))
    assert found["a"] is found["b"] and found["x"] is found["y"]


def test_requires_grad_and_parameters_are_kept(tools, tmp_path):
    Parameter = ours.nn.Parameter
    mine = {
        "g": ours.ones(2, requires_grad=True),
        "p": Parameter(ours.arange(3.0)),
        "frozen": Parameter(ours.arange(2), requires_grad=False),
    }
    save(mine, tmp_path / "p.pt")
    theirs = torch.load(tmp_path / "p.pt", weights_only=True)
    assert theirs["g"].requires_grad and not isinstance(theirs["g"], torch.nn.Parameter)
    assert isinstance(theirs["p"], torch.nn.Parameter) and theirs["p"].requires_grad
    assert isinstance(theirs["frozen"], torch.nn.Parameter) and not theirs["frozen"].requires_grad
    torch.save(theirs, tmp_path / "q.pt")
    for name, found in load(tmp_path / "q.pt").items():
        assert type(found) is type(mine[name]) and found.requires_grad == mine[name].requires_grad and found.is_leaf
        assert np.array_equal(found.detach().numpy(), mine[name].detach().numpy())


def test_attributes_of_tensors_travel(tmp_path):
    t, p = torch.ones(2), torch.nn.Parameter(torch.zeros(2))
    t.label, p.tag = "x", [1]
    torch.save([t, p], tmp_path / "a.pt")
    mine = load(tmp_path / "a.pt")
    assert mine[0].label == "x" and mine[1].tag == [1] and type(mine[1]) is ours.nn.Parameter
    save(mine, tmp_path / "b.pt")
    theirs = torch.load(tmp_path / "b.pt", weights_only=True)
    assert theirs[0].label == "x" and theirs[1].tag == [1] and isinstance(theirs[1], torch.nn.Parameter)


def test_loaded_leaves_take_gradients(tmp_path):
    torch.save({"w": torch.ones(3, requires_grad=True), "base": torch.arange(6.0)[2:5]}, tmp_path / "g.pt")
    found = load(tmp_path / "g.pt")
    (found["w"] * found["base"]).sum().backward()
    assert found["w"].grad.tolist() == [2.0, 3.0, 4.0]


def test_parameters_that_share_one_storage(tmp_path):
    flat = torch.arange(6.0)
    torch.save([torch.nn.Parameter(flat[:3]), torch.nn.Parameter(flat[2:5])], tmp_path / "f.pt")
    for p, q in (torch.load(tmp_path / "f.pt"), load(tmp_path / "f.pt")):
        (p * 2 + q * 3).sum().backward()
        assert p.grad.tolist() == [2.0, 2.0, 2.0] and q.grad.tolist() == [3.0, 3.0, 3.0]
        with (torch if isinstance(p, torch.Tensor) else ours).no_grad():
            p.add_(10)
        assert p.tolist() == [10.0, 11.0, 12.0] and q.tolist() == [12.0, 3.0, 4.0]


def test_saving_in_the_middle_of_an_iteration():
    p = ours.nn.Parameter(ours.ones(3))
    y = p * 2
    with ours.no_grad():
        p.mul_(3)
        p[0] = 7.0
    z = y + 1
    found = load(via_buffer({"p": p, "alias": p.detach(), "y": y, "z": z}))
    assert found["p"].tolist() == found["alias"].tolist() == [7.0, 3.0, 3.0]
    assert found["y"].tolist() == [2.0, 2.0, 2.0] and found["z"].tolist() == [3.0, 3.0, 3.0]
    found["alias"].zero_()
    assert found["p"].tolist() == [0.0, 0.0, 0.0]
    z.sum().backward()
    assert p.grad.tolist() == [2.0, 2.0, 2.0] and p.tolist() == [7.0, 3.0, 3.0]


def test_values_computed_lazily_are_saved(tmp_path):
    x = ours.arange(4.0)
    y = x * 2 + 1
    y[1] = -5.0
    save(y, tmp_path / "y.pt")
    assert torch.load(tmp_path / "y.pt").tolist() == [1.0, -5.0, 5.0, 7.0]
    assert y.tolist() == [1.0, -5.0, 5.0, 7.0]


def test_later_writes_do_not_reach_what_was_loaded_or_saved():
    x = ours.arange(3.0)
    buffer = via_buffer(x)
    x.add_(1)
    first, second = load(io.BytesIO(buffer.getvalue())), load(io.BytesIO(buffer.getvalue()))
    first.mul_(10)
    assert x.tolist() == [1.0, 2.0, 3.0] and first.tolist() == [0.0, 10.0, 20.0] and second.tolist() == [0.0, 1.0, 2.0]


def test_non_finite_values_survive(tools):
    values = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324])
    found = load(via_buffer(ours.from_numpy(values)))
    assert tools.bits(found).tobytes() == values.tobytes()


# -- sparse tensors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", ["ours", "torch"])
@pytest.mark.parametrize("reader", ["ours", "torch"])
@pytest.mark.parametrize("coalesced", [True, False])
@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_sparse_tensors(writer, reader, coalesced):
    libraries = {"ours": ours, "torch": torch}
    write, read = libraries[writer], libraries[reader]
    places = write.tensor([[0, 2, 2], [1, 0, 0 if not coalesced else 3]])
    x = write.sparse_coo_tensor(places, write.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=write.float64), (3, 4, 2))
    x = x.coalesce() if coalesced else x
    file = io.BytesIO()
    write.save({"x": x, "dense": write.ones(2)}, file)
    file.seek(0)
    found = read.load(file)["x"]
    assert found.is_sparse
    assert found.is_coalesced() is coalesced
    np.testing.assert_array_equal(found.to_dense().numpy(), x.to_dense().numpy())


@pytest.mark.parametrize(("places", "size"), [([[0, 3]], (3,)), ([[-1, 0]], (3,)), ([[0, 1]], (3, 2)), ([[0, 1]], ())])
def test_sparse_tensors_that_reach_outside_themselves_are_refused(places, size):
    x = ours.sparse_coo_tensor(ours.tensor([[0, 1]]), ours.ones(2), (3,))
    x._given, x._size = (ours.tensor(places), ours.ones(2)), ours.Size(size)
    with pytest.raises(CorruptFileError, match="sparse tensor"):
        load(via_buffer(x))


@pytest.mark.parametrize(("writer", "reader"), [(ours, torch), (torch, ours), (ours, ours)])
@pytest.mark.filterwarnings("ignore:Sparse")
def test_matrices_in_compressed_rows(writer, reader):
    dense = [[0.0, 1.5, 0.0], [2.0, 0.0, 3.0]]
    file = io.BytesIO()
    writer.save(writer.tensor(dense).to_sparse_csr(), file)
    file.seek(0)
    found = reader.load(file)
    assert found.layout is reader.sparse_csr and found.to_dense().tolist() == dense


@pytest.mark.parametrize("places", [([0, 1, 3], [0, 1]), ([0, 1, 2], [0, 5]), ([], [0, 1])])
def test_compressed_rows_that_reach_outside_themselves_are_refused(places):
    x = ours.eye(2).to_sparse_csr()
    x._places = tuple(ours.tensor(p, dtype=ours.int64) for p in places)
    with pytest.raises(CorruptFileError, match="sparse tensor"):
        load(via_buffer(x))


# -- what we lack -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: torch.eye(2).to_sparse_csc(), "sparse_csc"),
        (lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8), "quantized"),
        (lambda: torch.ones(2).to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (lambda: torch.ones(2, dtype=torch.uint16), "uint16"),
        (lambda: torch.ones(2, dtype=torch.complex64).conj(), "conjugated"),
        (lambda: torch.float8_e5m2, "float8_e5m2"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_kinds_of_tensors_we_lack_are_named(make, what, tmp_path):
    torch.save({"x": make()}, tmp_path / "k.pt")
    with pytest.raises(Unsupported, match=rf"k\.pt.*{what}"):
        load(tmp_path / "k.pt")


class Point:
    """A class of a script; saved by reference."""

    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is Point and other.x == self.x

    __hash__ = None


def test_objects_of_scripts_are_written_as_pickle_would(tmp_path):
    save({"p": Point([1])}, tmp_path / "p.pt")
    assert torch.load(tmp_path / "p.pt", weights_only=False) == {"p": Point([1])}
    with pytest.raises(UnsafeContentError, match=r"p\.pt.*Point.*add_safe_globals"):
        load(tmp_path / "p.pt")
    with safe_globals([Point]):
        assert load(tmp_path / "p.pt") == {"p": Point([1])}
    torch.save({"p": Point([2])}, tmp_path / "q.pt")
    with safe_globals([(Point, f"{Point.__module__}.Point")]):
        assert load(tmp_path / "q.pt") == {"p": Point([2])}


def test_what_was_loaded_has_been_written_once():
    def versions(lib):
        x, file = lib.arange(6.0).reshape(2, 3), io.BytesIO()
        lib.save([x, x[1], lib.nn.Parameter(x)], file)
        file.seek(0)
        loaded = [*lib.load(file), pickle.loads(pickle.dumps(x)), lib.nn.Parameter(x.add_(1))]
        return [t._version for t in loaded]

    assert versions(ours) == versions(torch)
