"""Public names of PyTorch's modules are here, or say what to use instead."""

import importlib

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.absent import ABSENT  # noqa: E402

#: modules all of whose public names are looked at, beside those of the table
WHOLE = """nn nn.functional nn.init nn.utils nn.utils.rnn nn.utils.parametrize nn.utils.prune nn.utils.stateless optim optim.lr_scheduler
    optim.swa_utils linalg fft special distributions distributions.kl distributions.transforms autograd.functional autograd.forward_ad
    utils.data sparse masked random library amp mps xpu backends.cudnn backends.openmp hub fx futures
    multiprocessing signal.windows""".split()


def names_of(module):
    """What a module of PyTorch's offers: its ``__all__``, or what PyTorch defines among its public names."""
    offered = getattr(module, "__all__", None)
    if offered is None:
        offered = [name for name, value in vars(module).items() if getattr(value, "__module__", "").startswith("torch")]
    return sorted(name for name in set(offered) if name[0] != "_" and hasattr(module, name))


@pytest.mark.parametrize("path", sorted({"", *WHOLE, *ABSENT}))
def test_a_name_is_here_or_says_what_to_use(path):
    there = importlib.import_module(f"{torch.__name__}.{path}".rstrip("."))
    here = importlib.import_module(f"{ours.__name__}.{path}".rstrip("."))
    silent = []
    for name in names_of(there):
        try:
            getattr(here, name)
        except NotImplementedError as error:
            assert ": " in str(error) or " needs " in str(error), error
        except AttributeError:
            silent.append(name)
    assert not silent


@pytest.mark.parametrize("path", ABSENT)
def test_the_table_has_pytorchs_names_only(path):
    there = importlib.import_module(f"{torch.__name__}.{path}")
    here = importlib.import_module(f"{ours.__name__}.{path}")
    for names, _ in ABSENT[path]:
        for name in names.split():
            assert hasattr(there, name), f"PyTorch has no {path}.{name}"
            assert not hasattr(here, name)
            with pytest.raises(NotImplementedError, match=rf"{path}\.{name} is not supported: \w"):
                getattr(here, name)
    assert not hasattr(here, "no_name_of_pytorchs")
    with pytest.raises(AttributeError, match="no_name_of_pytorchs"):
        _ = here.no_name_of_pytorchs


def test_offsets_of_the_cpus_generator():
    for T in (torch, ours):
        for call in (lambda T=T: T.Generator().get_offset(), lambda T=T: T.Generator().set_offset(1)):
            with pytest.raises(RuntimeError, match="does not use offset"):
                call()
