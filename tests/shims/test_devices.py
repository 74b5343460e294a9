"""torch.cuda, torch.mps, torch.accelerator and torch.backends on a machine that has none of them."""

import importlib

import pytest

import torchlike_asg as ours


def test_import_forms():
    for name in ("cuda", "cuda.amp", "cuda.random", "mps", "accelerator", "amp", "distributed", "jit", "hub", "onnx", "multiprocessing"):
        module = importlib.import_module(f"torchlike_asg.{name}")
        assert module.__doc__ and getattr(ours, name.partition(".")[0]) is not None
    for name in ("cudnn", "cuda", "mps", "mkldnn", "mkl", "openmp"):
        assert importlib.import_module(f"torchlike_asg.backends.{name}") is getattr(ours.backends, name)
    with pytest.raises(AttributeError):
        ours.backends.tpu  # noqa: B018


def test_cuda_is_absent():
    cuda = ours.cuda
    assert not cuda.is_available() and cuda.device_count() == 0 and not cuda.is_initialized() and not cuda.is_bf16_supported()
    assert cuda.memory_allocated() == cuda.max_memory_allocated(0) == cuda.memory_reserved() == 0 and cuda.get_arch_list() == []
    for f in (
        cuda.synchronize,
        cuda.empty_cache,
        cuda.reset_peak_memory_stats,
        lambda: cuda.manual_seed(0),
        lambda: cuda.manual_seed_all(0),
    ):
        assert f() is None
    assert cuda.get_rng_state_all() == [] and "CUDA is not available" in cuda.memory_summary()


@pytest.mark.parametrize("name", ["current_device", "set_device", "get_device_name", "get_device_properties", "init", "mem_get_info"])
def test_what_needs_cuda_says_so(name):
    with pytest.raises(AssertionError, match="not compiled with CUDA enabled"):
        getattr(ours.cuda, name)()


def test_cuda_is_not_initialized():
    assert ours.cuda._initialized is False and not ours.cuda.is_initialized()


def test_cuda_objects():
    for make in (ours.cuda.Event, ours.cuda.Stream):
        with pytest.raises(RuntimeError, match="requires CUDA"):
            make()
    with pytest.raises(TypeError, match=r"torch\.cuda\.FloatTensor not available"):
        ours.cuda.FloatTensor(2)
    with ours.cuda.device(-1), ours.cuda.device(None), ours.cuda.device_of(ours.ones(1)), ours.cuda.stream(None):
        pass
    with pytest.raises(AssertionError), ours.cuda.device(0):
        pass


@pytest.fixture
def no_adapter(monkeypatch):
    """A machine without a GPU, also after tests that asked for a software adapter."""
    monkeypatch.setenv("TORCHLIKE_ASG_ADAPTER", "no such adapter")


@pytest.mark.usefixtures("no_adapter")
def test_the_usual_guard():
    device = ours.device("cuda" if ours.cuda.is_available() else "cpu")
    kind = ours.cuda.FloatTensor if ours.cuda.is_available() else ours.FloatTensor
    assert kind([1.0]).to(device).tolist() == [1.0]
    if (accelerator := ours.accelerator.current_accelerator()) is not None:
        device = accelerator
    assert device.type == "cpu"


@pytest.mark.usefixtures("no_adapter")
def test_no_accelerator():
    assert not ours.accelerator.is_available() and ours.accelerator.device_count() == 0 and ours.accelerator.memory_allocated() == 0
    ours.accelerator.synchronize()
    for call in (ours.accelerator.current_device_index, lambda: ours.accelerator.set_device_index(0), ours.accelerator.current_stream):
        with pytest.raises(RuntimeError, match="when none is available"):
            call()


def test_mps_is_absent():
    assert not ours.backends.mps.is_available() and not ours.backends.mps.is_built() and ours.mps.device_count() == 0
    ours.mps.empty_cache()
    ours.mps.manual_seed(0)
    with pytest.raises(ours.Unsupported, match="MPS"):
        ours.mps.profiler.start()


@pytest.mark.filterwarnings("ignore:`torch.backends.cuda.sdp_kernel")
def test_switches():
    cudnn = ours.backends.cudnn
    cudnn.benchmark = True
    assert cudnn.benchmark is True and cudnn.version() is None and not cudnn.is_available() and not cudnn.is_acceptable(ours.ones(1))
    with cudnn.flags(enabled=True, deterministic=True):
        assert cudnn.deterministic and not cudnn.benchmark
    assert cudnn.benchmark and not cudnn.deterministic
    cudnn.benchmark = False
    cuda = ours.backends.cuda
    cuda.matmul.allow_tf32 = True
    assert cuda.matmul.allow_tf32 and not cuda.is_built()
    with cuda.sdp_kernel(enable_flash=False):
        assert not cuda.flash_sdp_enabled() and cuda.math_sdp_enabled()
    assert cuda.flash_sdp_enabled()
    cuda.enable_mem_efficient_sdp(False)
    assert not cuda.mem_efficient_sdp_enabled()
    cuda.enable_mem_efficient_sdp(True)
    assert cuda.preferred_linalg_library("magma") == cuda.preferred_linalg_library() == "magma"
    with ours.backends.mkldnn.flags(enabled=False):
        assert not ours.backends.mkldnn.enabled
    assert ours.backends.mkldnn.enabled and not ours.backends.mkldnn.is_available() and not ours.backends.openmp.is_available()
