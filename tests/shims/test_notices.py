"""Warnings beside PyTorch's: what is said, in which category, and whether again."""

import warnings

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import notices

torch = pytest.importorskip("torch")


def layer(T, **options):
    return T.nn.TransformerEncoderLayer(8, 2, 8, **options)


ONCE = {
    "number of what has a history": lambda T: float(T.ones(1, requires_grad=True)),
    "meshgrid": lambda T: T.meshgrid(T.ones(2), T.ones(2)),
    "T": lambda T: T.ones(2, 2, 2).T,
    "list of arrays": lambda T: T.tensor([np.ones(2)]),
    "grad of a result": lambda T: (T.ones(1, requires_grad=True) * 2).grad,
    "create_graph": lambda T: T.ones(1, requires_grad=True).exp().backward(create_graph=True),
    "storage": lambda T: T.ones(1).storage(),
    "range": lambda T: T.range(0, 2),
    "qr": lambda T: T.qr(T.eye(2)),
    "cholesky": lambda T: T.cholesky(T.eye(2)),
    "triangular_solve": lambda T: T.triangular_solve(T.eye(2), T.eye(2)),
    "stft": lambda T: T.stft(T.ones(20), 4, return_complex=True),
    "istft": lambda T: T.istft(T.ones(9, 5, dtype=T.complex64), 16),
    "stft as pairs": lambda T: T.stft(T.ones(20), 4, window=T.ones(4), return_complex=False),
    "T of a scalar": lambda T: T.tensor(1.0).T,
    "H of a scalar": lambda T: T.tensor(1.0).H,
    "where of uint8": lambda T: T.where(T.ones(2, dtype=T.uint8), 1, 0),
    "lu": lambda T: T.lu(T.eye(2)),
    "complex to real": lambda T: T.ones(2, dtype=T.complex64).to(T.float32),
    "complex to integers": lambda T: T.ones(2, dtype=T.complex64).int(),
    "complex into real": lambda T: T.ones(2).copy_(T.ones(2, dtype=T.complex64)),
    "same, even kernel": lambda T: T.nn.functional.conv1d(T.ones(1, 1, 4), T.ones(1, 1, 2), padding="same"),
    "chain_matmul": lambda T: T.chain_matmul(T.eye(2), T.eye(2)),
    "nuclear_norm": lambda T: T.nuclear_norm(T.eye(2)),
    "frobenius_norm": lambda T: T.frobenius_norm(T.eye(2), dim=(0, 1)),
    "default tensor type": lambda T: T.set_default_tensor_type(T.FloatTensor),
}
ALWAYS = {
    "out of another shape": lambda T: T.add(T.ones(3), 1, out=T.empty(2)),
    "sample_n": lambda T: T.distributions.Normal(0.0, 1.0).sample_n(2),
    "tensor of a tensor": lambda T: T.tensor(T.ones(1)),
    "volatile": lambda T: T.autograd.Variable(T.ones(1), volatile=True),
    "class under no_grad": lambda T: T.no_grad()(type("C", (), {}))(),
    "cuda autocast": lambda T: T.cuda.amp.autocast(enabled=False),
    "cpu autocast": lambda T: T.cpu.amp.autocast(),
    "cuda GradScaler": lambda T: T.cuda.amp.GradScaler(enabled=False),
    "cpu GradScaler": lambda T: T.cpu.amp.GradScaler(enabled=False),
    "custom_fwd": lambda T: T.cuda.amp.custom_fwd(lambda ctx: None),
    "custom_bwd": lambda T: T.cuda.amp.custom_bwd(lambda ctx: None),
    "memory_cached": lambda T: T.cuda.memory_cached(),
    "functional_call": lambda T: T.nn.utils.stateless.functional_call(T.nn.Linear(1, 1), {}, T.ones(1)),
    "assert_allclose": lambda T: T.testing.assert_allclose(T.ones(1), T.ones(1)),
    "encoder": lambda T: T.nn.TransformerEncoder(layer(T), 1),
    "encoder, norm_first": lambda T: T.nn.TransformerEncoder(layer(T, batch_first=True, norm_first=True), 1),
    "encoder, activation": lambda T: T.nn.TransformerEncoder(layer(T, batch_first=True, activation=T.tanh), 1),
    "encoder, bias": lambda T: T.nn.TransformerEncoder(layer(T, batch_first=True, bias=False), 1),
}


def said(T, cause):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        cause(T)
    return [(w.category, str(w.message)[:40]) for w in found if "torch.jit" not in str(w.message)]


@pytest.fixture
def unheard(monkeypatch):
    monkeypatch.setattr(notices, "heard", [False])
    monkeypatch.setattr(notices, "said", set())


@pytest.mark.parametrize("name", ONCE)
def test_what_is_said_once(name, unheard):
    torch.set_warn_always(True)
    torch.storage._reset_warn_typed_storage_removal()  # which counts by itself
    try:
        theirs = said(torch, ONCE[name])
        assert said(ours, ONCE[name]) == theirs != []
        assert said(ours, ONCE[name]) == []
        ours.set_warn_always(True)
        assert said(ours, ONCE[name]) == theirs
    finally:
        for T in (torch, ours):
            T.set_warn_always(False)


@pytest.mark.parametrize("name", ALWAYS)
def test_what_is_said_each_time(name):
    assert said(ours, ALWAYS[name]) == said(ours, ALWAYS[name]) == said(torch, ALWAYS[name]) != []


@pytest.mark.parametrize(
    "quiet",
    [
        lambda T: T.nn.TransformerEncoder(layer(T, batch_first=True), 1),
        lambda T: T.nn.TransformerEncoder(layer(T), 1, enable_nested_tensor=False),
        lambda T: (T.ones(1, requires_grad=True).exp().item(), T.ones(2, 2).T, T.meshgrid(T.ones(1), indexing="ij")),
        lambda T: T.ones(1, requires_grad=True).grad,
    ],
)
def test_what_is_not_said(quiet, unheard):
    assert said(ours, quiet) == said(torch, quiet) == []


def read_only():
    array = np.ones(2)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "cause",
    [lambda T: T.from_numpy(read_only()), lambda T: T.as_tensor(read_only()), lambda T: T.frombuffer(b"abcd", dtype=T.uint8)],
    ids=["from_numpy", "as_tensor", "frombuffer"],
)
def test_memory_that_cannot_be_written(cause, unheard):
    """PyTorch says these once in a process, whatever `set_warn_always` says: it was asked in a process of its own."""
    ((category, text),) = said(ours, cause)
    assert category is UserWarning
    assert "is not writable" in text
    assert said(ours, cause) == []


def test_what_warns_of_nothing(unheard):
    def quiet(T):
        T.tensor(read_only())
        T.add(T.ones(3), 1, out=T.empty(0))
        T.add(T.ones(3), 1, out=T.empty(3))
        T.ones(2, dtype=T.complex64).to(T.bool)

    assert said(ours, quiet) == said(torch, quiet) == []
