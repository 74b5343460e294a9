"""Whole modules in files: rebuilt without running anything, or refused."""

import io
import os
import pickle
import zipfile

import pytest

import torchlike_asg as ours
from torchlike_asg import nn
from torchlike_asg.nn import functional
from torchlike_asg.serialization import CorruptFileError, UnsafeContentError, load, safe_globals, save
from torchlike_asg.serialization.encode import Encoder
from torchlike_asg.serialization.legacy import MAGIC
from torchlike_asg.serialization.writer import GlobalName, PersistentId, PickleWriter, Reduce

torch = pytest.importorskip("torch")


class Net(nn.Module):
    made = 0

    def __init__(self, width=4):
        super().__init__()
        Net.made += 1
        self.layers = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Dropout(0.5), nn.Linear(width, 2))
        self.norm = nn.LayerNorm(2)
        self.activation = functional.relu
        self.register_buffer("scale", ours.tensor([2.0]))
        self.register_buffer("temporary", ours.tensor([3.0]), persistent=False)
        self.settings = {"width": width, "names": ["a"]}

    def forward(self, x):
        return self.activation(self.norm(self.layers(x))) * self.scale + self.temporary


class Careful(nn.Module):
    restored = False

    def __setstate__(self, state):
        Careful.restored = True
        super().__setstate__(state)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight


def buffer_of(obj):
    buffer = io.BytesIO()
    save(obj, buffer)
    buffer.seek(0)
    return buffer


def test_a_whole_module_comes_back_without_its_constructor_running(tmp_path):
    ours.manual_seed(0)
    net = Net().eval()
    x = ours.randn(5, 3)
    expected = net(x).tolist()
    save(net, tmp_path / "net.pt")
    made = Net.made
    found = load(tmp_path / "net.pt", weights_only=False)
    assert Net.made == made and type(found) is Net and not found.training
    assert found(x).tolist() == expected and found.settings == net.settings and found.activation is functional.relu
    assert list(found.state_dict()) == list(net.state_dict()) and repr(found) == repr(net)
    assert all(type(p) is nn.Parameter and p.requires_grad for p in found.parameters())
    found.train()
    found(x).sum().backward()
    assert found.layers[0].weight.grad is not None and net.layers[0].weight.grad is None


def test_modules_inside_checkpoints_and_tied_weights(tmp_path):
    model = Tied()
    save({"epoch": 3, "model": model, "again": model}, tmp_path / "c.pt")
    found = load(tmp_path / "c.pt", weights_only=False)
    assert found["epoch"] == 3 and found["model"] is found["again"]
    assert found["model"].a.weight is found["model"].b.weight and len(list(found["model"].parameters())) == 3


def test_by_default_whole_modules_are_refused_with_advice():
    with pytest.raises(UnsafeContentError, match=r"Net.*state_dict\(\).*weights_only=False"):
        load(buffer_of(Net()))


def test_listed_classes_are_enough():
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    with safe_globals([nn.Sequential, nn.Linear, nn.Tanh]):
        assert repr(load(buffer_of(net))) == repr(net)


def test_a_state_setter_of_the_script_runs_only_if_listed():
    data = buffer_of(Careful()).getvalue()
    with pytest.raises(UnsafeContentError, match="Careful"):
        load(io.BytesIO(data), weights_only=False)
    assert not Careful.restored
    with safe_globals([Careful]):
        load(io.BytesIO(data), weights_only=False)
    assert Careful.restored


def changed(obj, old, new):
    """The file of `obj` with bytes of its pickle replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(buffer_of(obj)) as archive, zipfile.ZipFile(out, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            assert not name.endswith("data.pkl") or old in content
            copy.writestr(name, content.replace(old, new) if name.endswith("data.pkl") else content)
    out.seek(0)
    return out


def test_classes_and_functions_that_are_no_modules_or_not_imported_are_refused():
    here = Net.__module__.encode()
    for new in (b"cos\nsystem\n", b"csubprocess\nPopen\n", b"cnot_imported\nNet\n", b"cantigravity\nNet\n", b"cbuiltins\neval\n"):
        with pytest.raises(UnsafeContentError):
            load(changed(Net(), b"c" + here + b"\nNet\n", new), weights_only=False)
    relu = b"c" + functional.relu.__module__.encode() + b"\nrelu\n"
    for new in (b"cos\nsystem\n", b"cbuiltins\nexec\n", b"cshutil\nrmtree\n", b"ctorchlike_asg.serialization.torchfile\nsave\n"):
        with pytest.raises(UnsafeContentError):
            load(changed(Net(), relu, new), weights_only=False)


def test_modules_cannot_be_called_or_made_with_arguments():
    here = f"{Net.__module__}\nNet\n".encode()
    made = Net.made
    for code in (b"c" + here + b")R.", b"c" + here + b"K\x05\x85\x81.", b"c" + here + b")\x81]b.", b"c" + here + b")\x81}b."):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("a/data.pkl", b"\x80\x02" + code)
        buffer.seek(0)
        with pytest.raises((UnsafeContentError, CorruptFileError)):
            load(buffer, weights_only=False)
    assert Net.made == made


def test_classes_that_came_with_their_source():
    """Before 1.6 a file named the classes of modules by persistent ids."""
    net = nn.Sequential(nn.Linear(2, 2))

    def reduce(obj):
        if isinstance(obj, nn.Module):
            cls = PersistentId(("module", GlobalName("torchlike_asg.nn", type(obj).__name__), "net.py", "class ..."))
            return Reduce(cls, (), {k: v for k, v in obj.__dict__.items() if k not in obj._parameters and k not in obj._modules}, new=True)
        return encoder.reduce(obj)

    encoder = Encoder(legacy=True)
    pickled = PickleWriter(reduce).dumps(net)
    headers = [PickleWriter(lambda x: None).dumps(x) for x in (MAGIC, 1001, {})]
    content = b"".join(headers) + pickled + PickleWriter(lambda x: None).dumps(list(encoder.storages))
    for key, storage in encoder.storages.items():
        content += encoder.counts[key].to_bytes(8, "little") + storage.tobytes()
    found = load(io.BytesIO(content), weights_only=False)
    assert repr(found) == repr(net) and found[0].weight.tolist() == net[0].weight.tolist()
    with pytest.raises(UnsafeContentError, match="whole module"):
        load(io.BytesIO(content))


def test_a_hostile_attribute_is_refused(tmp_path):
    net = Net()
    net.settings = os.system
    with pytest.raises(pickle.UnpicklingError, match="system"):
        load(buffer_of(net), weights_only=False)


def test_modules_of_torch_become_ours(tmp_path):
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(64, 5), torch.nn.LayerNorm(5), torch.nn.GELU(),
    ).eval()  # fmt: skip
    for zipped in (True, False):
        torch.save(theirs, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
        mine = load(tmp_path / "m.pt", weights_only=False)
        assert type(mine) is nn.Sequential and repr(mine) == repr(theirs)
        x = torch.randn(2, 1, 8, 8)
        expected = theirs(x).detach().numpy()
        assert abs(mine(ours.from_numpy(x.numpy())).detach().numpy() - expected).max() < 1e-5
    with pytest.raises(UnsafeContentError, match="whole module"):
        load(tmp_path / "m.pt")
