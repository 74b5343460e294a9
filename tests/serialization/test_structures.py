"""save and load against real torch, in both directions: containers, plain values, training state."""

import io
import random
from collections import Counter, OrderedDict, defaultdict, deque
from types import SimpleNamespace

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import devices, dtypes
from torchlike_asg.serialization import load, save
from torchlike_asg.size import Size

torch = pytest.importorskip("torch")


def via_buffer(obj, **keywords):
    buffer = io.BytesIO()
    save(obj, buffer, **keywords)
    buffer.seek(0)
    return buffer


# -- structures -------------------------------------------------------------------------------------------------------

PLAIN = {
    "none": None,
    "flags": [True, False],
    "ints": [0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63, -(2**64), 10**80],
    "floats": [0.0, -0.0, 1.5, 1e308, float("inf")],
    "text": ["", "a", "\u00e9\u4e2d\U0001f600", "line\nbreak", "x" * 300],
    "bytes": [b"", b"\x00\xff", bytes(range(256))],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((1, (2,)),)],
    "dicts": {1: "a", "b": {}, (1, 2): [3], None: 1, 2.5: 2},
    "set": {1, "a", (2, 3)},
    "complex": [1j, complex(1, -2)],
    "bytearray": bytearray(b"ab"),
    "ordered": OrderedDict([("z", 1), ("a", 2)]),
    "counter": Counter("aab"),
}
EXTRA = {
    "frozen": frozenset([1, 2]),
    "default": defaultdict(list, {"a": [1]}),
    "deque": deque([1, 2], 5),
    "range": range(3),
    "slice": slice(1, None, 2),
    "bag": SimpleNamespace(a=1, b=[2]),
    "arrays": [np.arange(6).reshape(2, 3), np.float32(1.5), np.array(["ab", "c"]), np.arange(4, dtype=">i4"), np.asfortranarray(np.eye(2))],
}


def test_plain_structures_reach_torch_and_come_back(tmp_path):
    save(PLAIN, tmp_path / "s.pt")
    assert torch.load(tmp_path / "s.pt", weights_only=False) == PLAIN
    assert load(tmp_path / "s.pt") == PLAIN
    readable = {k: v for k, v in PLAIN.items() if k != "ints"} | {"ints": PLAIN["ints"][:-1]}
    save(readable, tmp_path / "r.pt")
    assert torch.load(tmp_path / "r.pt", weights_only=True) == readable


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_structures_of_torch_are_read(protocol, tmp_path):
    torch.save({**PLAIN, **EXTRA}, tmp_path / "s.pt", pickle_protocol=protocol)
    found = load(tmp_path / "s.pt")
    arrays = found.pop("arrays")
    assert found == {**PLAIN, **{k: v for k, v in EXTRA.items() if k != "arrays"}}
    assert found["default"].default_factory is list and found["deque"].maxlen == 5 and type(found["ordered"]) is OrderedDict
    for a, b in zip(arrays, EXTRA["arrays"], strict=True):
        assert type(a) is type(b) and a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=") and np.array_equal(a, b)
        assert type(a) is not np.ndarray or a.flags.f_contiguous == b.flags.f_contiguous


def test_torch_reads_structures_beyond_its_own_allowed_ones(tmp_path):
    save(EXTRA, tmp_path / "e.pt")
    found = torch.load(tmp_path / "e.pt", weights_only=False)
    assert found["default"] == EXTRA["default"] and found["deque"] == EXTRA["deque"] and found["bag"] == EXTRA["bag"]
    assert found["frozen"] == EXTRA["frozen"] and found["range"] == EXTRA["range"]
    assert all(np.array_equal(a, b) for a, b in zip(found["arrays"], EXTRA["arrays"], strict=True))


def test_numpy_arrays_that_were_read_can_be_written_to():
    found = load(via_buffer(np.arange(3)))
    found[0] = 7
    assert found.tolist() == [7, 1, 2]


def test_dtypes_devices_and_sizes(tmp_path):
    mine = {
        "d": list(dtypes.ALL),
        "dev": devices.device("cpu"),
        "foreign": devices.device("cuda", 1),
        "size": Size((2, 3)),
        "empty": Size(),
    }
    save(mine, tmp_path / "d.pt")
    theirs = torch.load(tmp_path / "d.pt", weights_only=True)
    assert [str(d) for d in theirs["d"]] == [str(d) for d in dtypes.ALL]
    assert theirs["dev"] == torch.device("cpu") and theirs["foreign"] == torch.device("cuda", 1) and theirs["size"] == torch.Size((2, 3))
    torch.save(theirs, tmp_path / "e.pt")
    found = load(tmp_path / "e.pt")
    assert found == mine and type(found["size"]) is Size and all(a is b for a, b in zip(found["d"], dtypes.ALL, strict=True))


def test_recursive_structures():
    a: list = [1]
    a.append(a)
    d: dict = {"t": (a,)}
    d["self"] = d
    t: tuple = ([],)
    t[0].append(t)
    long: tuple = ([], 1, 2, 3)
    long[0].append(long)
    a, d, t, long = load(via_buffer([a, d, t, long]))
    assert a[1] is a and d["self"] is d and d["t"][0] is a and t[0][0] is t and long[0][0] is long and long[1:] == (1, 2, 3)


def test_depth_is_not_bounded_by_the_recursion_limit():
    deep: list = []
    for _ in range(20_000):
        deep = [deep]
    found, depth = load(via_buffer(deep)), 0
    while found:
        found, depth = found[0], depth + 1
    assert depth == 20_000


def test_equal_content_gives_equal_files():
    one, two = ({"w": ours.arange(5.0), "n": [1, "a"]} for _ in range(2))
    assert via_buffer(one).getvalue() == via_buffer(two).getvalue()


# -- training state of torch -----------------------------------------------------------------------------------------


def torch_training_state():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, amsgrad=True)
    schedulers = [
        torch.optim.lr_scheduler.StepLR(optimizer, 3),
        torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4]),
        torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 10),
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5),
    ]
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(2, 1, 8, 8)).square().mean().backward()
        optimizer.step()
        for s in schedulers:
            s.step()
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    plateau.step(1.0)
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedulers": [s.state_dict() for s in [*schedulers, plateau]],
        "rng": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "epoch": 3,
    }


def assert_equal_structure(tools, mine, theirs, path="state"):
    if isinstance(theirs, torch.Tensor):
        assert tools.same(mine, theirs), path
    elif isinstance(theirs, dict):
        assert type(mine) is type(theirs) and list(mine) == list(theirs), path
        for key in theirs:
            assert_equal_structure(tools, mine[key], theirs[key], f"{path}[{key!r}]")
    elif isinstance(theirs, list | tuple):
        assert type(mine) is type(theirs) and len(mine) == len(theirs), path
        for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            assert_equal_structure(tools, a, b, f"{path}[{i}]")
    elif isinstance(theirs, np.ndarray):
        assert mine.dtype == theirs.dtype and np.array_equal(mine, theirs), path
    else:
        assert type(mine) is type(theirs) and mine == theirs, path


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_training_state_goes_from_torch_to_us_and_back(tools, zipped, tmp_path):
    state = torch_training_state()
    torch.save(state, tmp_path / "run.pt", _use_new_zipfile_serialization=zipped)
    mine = load(tmp_path / "run.pt")
    assert_equal_structure(tools, mine, state)
    assert mine["model"]._metadata == state["model"]._metadata
    save(mine, tmp_path / "back.pt", _use_new_zipfile_serialization=zipped)
    assert_equal_structure(tools, mine, torch.load(tmp_path / "back.pt", weights_only=False))
    back = torch.load(tmp_path / "back.pt", weights_only=False)
    assert back["model"]._metadata == state["model"]._metadata
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 3))
    model.load_state_dict(back["model"])
