"""torch.distributed, torch.multiprocessing, torch.jit, torch.hub, torch.onnx."""

import hashlib
import warnings

import pytest

import torchlike_asg as ours
from torchlike_asg import jit
from torchlike_asg import multiprocessing as mp


# ---------------------------------------------------------------- distributed
def test_one_process():
    dist = ours.distributed
    assert not dist.is_available() and not dist.is_initialized() and not dist.is_nccl_available() and not dist.is_torchelastic_launched()
    with pytest.raises(ours.Unsupported, match="one process"):
        dist.init_process_group("gloo", rank=0, world_size=1)
    for call in (
        dist.get_rank,
        dist.get_world_size,
        dist.barrier,
        lambda: dist.all_reduce(ours.ones(1), op=dist.ReduceOp.SUM),
        dist.destroy_process_group,
    ):
        with pytest.raises(ValueError, match="process group has not been initialized"):
            call()
    with pytest.raises(ours.Unsupported):
        dist.ProcessGroup()


# ---------------------------------------------------------------- multiprocessing
def record(i, queue, scale):
    queue.put((i, scale * i))


def fail(i):
    if i == 1:
        raise ArithmeticError("one is too much")


def leave(i):
    import os

    os._exit(3)


def test_spawn():
    queue = mp.get_context("fork").SimpleQueue()
    assert mp.start_processes(record, (queue, 10), nprocs=2, start_method="fork") is None
    assert sorted(queue.get() for _ in range(2)) == [(0, 0), (1, 10)]


@pytest.mark.slow
def test_spawn_with_fresh_interpreters():
    with pytest.raises(mp.ProcessRaisedException, match="one is too much"):
        mp.spawn(fail, nprocs=2)


def test_failures_are_reported():
    with pytest.raises(mp.ProcessRaisedException, match="ArithmeticError: one is too much") as caught:
        mp.start_processes(fail, nprocs=3, start_method="fork")
    assert caught.value.error_index == 1
    with pytest.raises(mp.ProcessExitedException, match="process 0 terminated with exit code 3"):
        mp.start_processes(leave, nprocs=1, start_method="fork")
    context = mp.start_processes(record, (mp.get_context("fork").SimpleQueue(), 1), nprocs=1, join=False, start_method="fork")
    while not context.join(timeout=5):
        pass
    assert len(context.pids()) == 1


def test_names_of_multiprocessing():
    assert mp.Process is not None and mp.cpu_count() > 0 and mp.current_process().name
    mp.set_sharing_strategy("file_system")
    assert mp.get_sharing_strategy() == "file_system" and "file_system" in mp.get_all_sharing_strategies()
    with pytest.raises(AssertionError):
        mp.set_sharing_strategy("telepathy")
    with pytest.raises(ours.Unsupported):
        mp.reductions.reduce_tensor(ours.ones(1))


# ---------------------------------------------------------------- jit, onnx
def test_jit_changes_nothing(monkeypatch):
    monkeypatch.setattr(jit, "_told", [False])

    def f(x):
        return x + 1

    with pytest.warns(UserWarning, match="unchanged"):
        assert jit.script(f) is f
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module = ours.nn.Linear(1, 1)
        assert jit.trace(module, ours.ones(1)) is module
    assert jit.ignore(f) is f and jit.ignore(drop=True)(f) is f and jit.unused(f) is f and jit.export(f) is f
    assert not jit.is_scripting() and not jit.is_tracing() and jit.annotate(int, 3) == 3 and not isinstance(module, jit.ScriptModule)
    for call in (lambda: jit.save(module, "x"), lambda: jit.load("x"), lambda: ours.onnx.export(module, (), "x")):
        with pytest.raises(ours.Unsupported):
            call()
    assert not ours.onnx.is_in_onnx_export()


# ---------------------------------------------------------------- hub
def test_downloads(tmp_path, monkeypatch):
    source = tmp_path / "weights.pt"
    ours.save({"w": ours.ones(2)}, source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    target = tmp_path / "copy.pt"
    ours.hub.download_url_to_file(source.as_uri(), str(target), digest[:8], progress=False)
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(RuntimeError, match="invalid hash value"):
        ours.hub.download_url_to_file(source.as_uri(), str(tmp_path / "wrong.pt"), "0" * 8, progress=False)
    assert not (tmp_path / "wrong.pt").exists() and not list(tmp_path.glob("*.partial"))
    monkeypatch.setattr(ours.hub, "_chosen", {})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    assert ours.hub.get_dir() == str(tmp_path / "home" / "hub")
    ours.hub.set_dir(tmp_path / "hub")
    loaded = ours.hub.load_state_dict_from_url(source.as_uri(), progress=False)
    assert loaded["w"].tolist() == [1.0, 1.0] and (tmp_path / "hub" / "checkpoints" / "weights.pt").exists()
    for call in (ours.hub.load, ours.hub.list, ours.hub.help):
        with pytest.raises(ours.Unsupported, match="runs code"):
            call("pytorch/vision", "resnet18")
