"""`install_as_torch`: other people's imports of torch get this package. Each test has a process of its own."""

import subprocess
import sys
import textwrap

import pytest


def fresh(code, *, cwd=None):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_spelling_gives_the_same_modules():
    fresh("""
        import importlib, sys
        import torchlike_asg
        torchlike_asg.install_as_torch()
        import torch
        import torch.nn as nn
        import torch.nn.functional as F
        import torch.optim.lr_scheduler
        import torchvision
        import torchvision.transforms.functional as TF
        from torch.utils.data import DataLoader
        from torch import Tensor, optim
        from torch.nn.parameter import Parameter
        from torchvision import datasets, models
        assert torch is torchlike_asg and nn is torchlike_asg.nn
        assert F is importlib.import_module("torchlike_asg.nn.functional") is sys.modules["torch.nn.functional"]
        assert importlib.import_module("torch.distributions.normal") is importlib.import_module("torchlike_asg.distributions.normal")
        assert DataLoader is torchlike_asg.utils.data.DataLoader and Parameter is nn.Parameter
        assert torchvision is torchlike_asg.vision and TF is torchlike_asg.vision.transforms.functional
        assert optim.lr_scheduler is torch.optim.lr_scheduler and Tensor is torchlike_asg.Tensor
        assert nn.Linear.__module__.startswith("torchlike_asg.") and nn.__spec__.name == "torchlike_asg.nn"
        assert "torch._C" not in sys.modules
    """)


def test_a_module_that_imports_torch_first_and_relative_imports(tmp_path):
    package = tmp_path / "thirdparty"
    package.mkdir()
    (package / "__init__.py").write_text("from .layers import Scale\n")
    (package / "layers.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Scale(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.by = nn.Parameter(torch.tensor(3.0))\n\n"
        "    def forward(self, x):\n        return x * self.by\n"
    )
    out = fresh(
        """
        import sys; sys.path.insert(0, ".")
        import torchlike_asg as t
        t.install_as_torch()
        from thirdparty import Scale
        layer = Scale()
        layer(t.ones(2)).sum().backward()
        print(layer.by.grad.item(), isinstance(layer, t.nn.Module))
        """,
        cwd=tmp_path,
    )
    assert out == "2.0 True"


def test_installing_again_and_uninstalling():
    fresh("""
        import sys
        import torchlike_asg as t
        ours = t.__version__
        t.install_as_torch()
        finders = len(sys.meta_path)
        t.install_as_torch()
        assert len(sys.meta_path) == finders
        import torch.nn, torchvision
        assert torch.__version__.split("+")[0] == "2.13.0" and torch.__version__.endswith(ours)
        assert torchvision.__version__ == "0.28.0+asg." + ours
        t.uninstall_as_torch()
        t.uninstall_as_torch()
        assert len(sys.meta_path) == finders - 1 and t.__version__ == ours
        assert not [name for name in sys.modules if name.partition(".")[0] in ("torch", "torchvision")]
        t.install_as_torch()
        import torch
        assert torch is t
    """)


def test_a_missing_submodule_is_a_missing_module():
    fresh("""
        import importlib.util
        import torchlike_asg
        torchlike_asg.install_as_torch()
        assert importlib.util.find_spec("torch._export") is None
        assert importlib.util.find_spec("torch.nn") is not None
        try:
            import torch._export
        except ModuleNotFoundError as error:
            assert error.name == "torch._export"
        else:
            raise SystemExit("imported a module that is not there")
        try:
            import torch.optim.sgd.nothing
        except ModuleNotFoundError as error:
            assert error.name == "torch.optim.sgd.nothing"
        else:
            raise SystemExit("imported a module that is not there")
    """)


def test_a_module_that_lacks_something_of_its_own_says_what(tmp_path):
    fresh("""
        import sys
        import torchlike_asg
        torchlike_asg.install_as_torch()
        sys.modules["tqdm"] = None  # as if it were not installed
        class Blocked:
            def find_spec(self, name, path=None, target=None):
                if name == "torchlike_asg.jit":
                    raise ModuleNotFoundError("No module named 'quux'", name="quux")
        sys.meta_path.insert(0, Blocked())
        try:
            import torch.jit
        except ModuleNotFoundError as error:
            assert error.name == "quux", error.name
        else:
            raise SystemExit("not raised")
    """)


def test_it_refuses_when_pytorch_is_loaded(tmp_path):
    (tmp_path / "torch.py").write_text("")
    fresh(
        """
        import sys; sys.path.insert(0, ".")
        import torch, torchlike_asg
        try:
            torchlike_asg.install_as_torch()
        except RuntimeError as error:
            assert "already imported from" in str(error) and "torch.py" in str(error)
        else:
            raise SystemExit("not refused")
        assert sys.modules["torch"] is torch and torch is not torchlike_asg
        """,
        cwd=tmp_path,
    )


def test_einops_works():
    pytest.importorskip("einops")
    out = fresh("""
        import torchlike_asg
        torchlike_asg.install_as_torch()
        import torch
        from einops import rearrange, reduce, repeat, einsum
        from einops.layers.torch import Rearrange, Reduce
        x = torch.arange(24.0).reshape(2, 3, 4).requires_grad_()
        assert rearrange(x, "b c (h w) -> b (c h) w", h=2).shape == (2, 6, 2)
        assert torch.equal(reduce(x, "b c w -> b w", "mean"), x.mean(1))
        assert repeat(x, "b c w -> b c (w r)", r=2).shape == (2, 3, 8)
        assert torch.allclose(einsum(x, x, "b c w, b d w -> b c d"), x @ x.transpose(1, 2))
        model = torch.nn.Sequential(Rearrange("b c w -> b (c w)"), torch.nn.Linear(12, 2), Reduce("b c -> b", "sum"))
        model(x).sum().backward()
        print(x.grad.shape)
    """)
    assert out == "torch.Size([2, 3, 4])"


def test_safetensors_reads_and_makes_tensors(tmp_path):
    fresh(
        """
        import torchlike_asg
        torchlike_asg.install_as_torch()
        import torch
        from safetensors import safe_open
        from safetensors.torch import load, load_file, save, save_file, save_model
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 4))
        model[2].weight = torch.nn.Parameter(torch.randn(4, 3).to(torch.bfloat16))
        tied = torch.nn.ModuleList([model[0], model[0]])
        optimizer = torch.optim.SGD([model[0].weight], 0.1)
        for step in range(3):
            model[0](torch.randn(5, 4)).square().sum().backward()
            optimizer.step()
            state = {name: value.contiguous() for name, value in model.state_dict().items()}
            save_file(state, "model.safetensors", metadata={"format": "pt"})
            for found in (load_file("model.safetensors"), load(save(state))):
                assert list(sorted(found)) == sorted(state)
                assert all(torch.equal(found[name], value) and found[name].dtype is value.dtype for name, value in state.items())
        with safe_open("model.safetensors", framework="pt") as file:
            assert torch.equal(file.get_slice("0.weight")[1:, :2], state["0.weight"][1:, :2])
        try:
            save_file(dict(tied.state_dict()), "tied.safetensors")
        except RuntimeError as error:
            assert "share memory" in str(error)
        else:
            raise SystemExit("tied weights were taken for two")
        save_model(tied, "tied.safetensors")
        assert sorted(load_file("tied.safetensors")) == ["0.bias", "0.weight"]
        """,
        cwd=tmp_path,
    )


def test_packages_find_pytorchs_files_its_name_and_itself():
    fresh("""
        import torchlike_asg
        torchlike_asg.install_as_torch()
        import torch
        from torch.distributions.relaxed_bernoulli import RelaxedBernoulli
        from torch.nn.parallel.distributed import DistributedDataParallel
        from torch.jit.annotations import List
        from torch.autograd.profiler import record_function
        assert RelaxedBernoulli is torch.distributions.RelaxedBernoulli
        assert torch.__name__ == "torch" and torch.torch is torch and record_function is torch.profiler.record_function
        torchlike_asg.uninstall_as_torch()
        assert torch.__name__ == "torchlike_asg" and not hasattr(torch, "torch")
    """)


def test_packages_built_for_pytorch_say_what_to_use():
    fresh("""
        import importlib.util
        import torchlike_asg
        torchlike_asg.install_as_torch()
        for name in ("torchaudio", "torchtext"):
            assert importlib.util.find_spec(name) is None  # how packages ask whether they may use another
            try:
                __import__(name)
            except ModuleNotFoundError as error:
                assert error.name == name and "use " in str(error), error
            else:
                raise SystemExit(f"{name} was imported")
    """)


def test_an_installed_package_built_for_pytorch_is_not_there(tmp_path):
    (tmp_path / "torchaudio.py").write_text("import torch._export\n")
    fresh(
        """
        import sys; sys.path.insert(0, ".")
        import importlib.util
        import torchlike_asg
        torchlike_asg.install_as_torch()
        assert importlib.util.find_spec("torchaudio") is None
        try:
            import torchaudio
        except ModuleNotFoundError as error:
            assert error.name == "torchaudio"
        else:
            raise SystemExit("torchaudio was imported")
        torchlike_asg.uninstall_as_torch()
        assert importlib.util.find_spec("torchaudio") is not None
        """,
        cwd=tmp_path,
    )
