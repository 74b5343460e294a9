"""PyTorch's modules that have no file here: imports of them work, and what is not supported says so when it is used."""

import enum
import importlib
import subprocess
import sys

import pytest

import torchlike_asg as ours
from torchlike_asg import places
from torchlike_asg.errors import Unsupported
from torchlike_asg.port import names


@pytest.fixture(scope="module", autouse=True)
def as_before():
    """An import leaves an attribute on the package, without which other tests are to find it."""
    before = set(vars(ours))
    yield
    for name in set(vars(ours)) - before:
        if places.is_place(name):
            delattr(ours, name)


@pytest.mark.parametrize("module", sorted({*places.MOVED, *places.ANSWERS, *places.listed()}))
def test_a_module_is_imported_and_found_below_its_parent(module):
    found = importlib.import_module(f"torchlike_asg.{module}")
    parent, _, name = module.rpartition(".")
    if module not in places.SHADOWED and parent:
        above = importlib.import_module(f"torchlike_asg.{parent}")
        assert getattr(above, name) is (places._made(parent).get(name, found))
    with pytest.raises((AttributeError, ImportError)):
        exec(f"from torchlike_asg.{module} import no_name_of_pytorchs")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"torchlike_asg.{module}.no_module_of_pytorchs")
    assert dir(found) and found.__path__ == []


@pytest.mark.parametrize("module", places.MOVED)
def test_a_moved_module_is_pytorchs_and_has_the_names_of_its_home(module):
    torch = pytest.importorskip("torch")
    if module != "utils.tensorboard.writer":  # which needs a package that may not be installed
        assert importlib.import_module(f"{torch.__name__}.{module}")
    home = importlib.import_module(f"torchlike_asg.{places.MOVED[module]}".rstrip("."))
    name = next(name for name in dir(home) if name[0] != "_" and not places.is_place(f"{module}.{name}"))
    assert getattr(importlib.import_module(f"torchlike_asg.{module}"), name) is getattr(home, name)


@pytest.mark.parametrize("module", places.SHADOWED)
def test_a_function_keeps_its_place_when_the_module_of_its_name_is_imported(module):
    parent, _, name = module.rpartition(".")
    found = importlib.import_module(f"torchlike_asg.{module}")
    function = getattr(importlib.import_module(f"torchlike_asg.{parent}"), name)
    assert callable(function) and function is getattr(found, name)


@pytest.mark.parametrize("module", [module for module, entries in places.listed().items() if entries])
def test_a_placeholder_is_named_and_raises_with_advice(module):
    home = importlib.import_module(f"torchlike_asg.{module}")
    for entry in places.listed()[module].split():
        name = entry.lstrip("=").partition("(")[0]
        found = getattr(home, name)
        if name in places.ANSWERS.get(module, ()):
            continue
        if isinstance(found, type) and issubclass(found, enum.Enum):
            assert [member.name for member in found] and found.__name__ == name
            continue
        if isinstance(found, type):
            assert not isinstance(ours.nn, found) and issubclass(type("Derived", (found,), {}), found)
        with pytest.raises(NotImplementedError, match=rf"torch\.{module}\.{name}: not supported: use \w"):
            found()
        assert names.status(f"torch.{module}.{name}").state == "missing"


def test_a_value_of_what_is_not_here_is_only_passed_on():
    config = importlib.import_module("torchlike_asg.ao.quantization").default_qconfig
    assert config is not None and config == config
    for use in (lambda: config.activation, lambda: config["weight"], lambda: len(config), lambda: list(config)):
        with pytest.raises(Unsupported, match="default_qconfig"):
            use()


def test_answers():
    from torchlike_asg.distributed.elastic.multiprocessing.errors import record
    from torchlike_asg.fx._compatibility import compatibility
    from torchlike_asg.utils._python_dispatch import is_traceable_wrapper_subclass
    from torchlike_asg.utils._triton import has_triton
    from torchlike_asg.utils.cpp_extension import CUDA_HOME

    assert record(len) is len and compatibility(is_backward_compatible=True)(len) is len and CUDA_HOME is None
    assert not has_triton() and not is_traceable_wrapper_subclass(ours.ones(1))


def test_under_the_alias():
    code = """
        import torchlike_asg
        torchlike_asg.install_as_torch()
        from torch.ao.quantization import QuantStub, default_qconfig
        from torch.nn.parallel.replicate import replicate
        from torch.fx.node import Node
        from functorch import vmap
        import torch, torch.distributed.fsdp, torch.nn.quantized.dynamic as nnqd
        assert torch.nn.parallel.replicate is replicate and Node is torch.fx.Node and vmap is torch.vmap
        assert torch.fx.node.Node is Node and torch.distributed.fsdp.ShardingStrategy.FULL_SHARD.name == "FULL_SHARD"
        assert torch.ao.quantization.QuantStub is QuantStub and nnqd.Linear is not torch.nn.Linear
    """
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(line[8:] for line in code.splitlines())], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_modules_are_attributes_of_their_packages_without_an_import():
    """``torch.distributions.transformed_distribution.TransformedDistribution``, as scripts write it."""
    script = """
import torchlike_asg as torch
wanted = ["distributions.transformed_distribution", "distributions.relaxed_bernoulli", "nn.modules.channelshuffle",
          "nn.parallel.distributed", "nn.parallel.scatter_gather", "fx.graph_module"]
for path in wanted:
    found = torch
    for name in path.split("."):
        found = getattr(found, name)
    assert found.__name__ == f"torchlike_asg.{path}", found
for package in (torch.distributions, torch.nn.modules, torch.nn.parallel, torch.fx):
    assert not hasattr(package, "no_module_of_pytorchs")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
