"""Views that read the same memory as another type: parts of complex numbers, pairs, lazy conjugates, ``view(dtype)``."""

import copy
import io
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same, same_error  # noqa: E402


def facts(t):
    """What PyTorch reports of a tensor, besides its values."""
    base = t._base
    return [str(t.dtype), tuple(t.shape), t.stride(), t.storage_offset(), t.is_conj(), t.is_neg(), t._is_view(), t._version,
            None if base is None else [str(base.dtype), tuple(base.shape)], t.requires_grad, t.is_leaf,
            None if t.grad_fn is None else type(t.grad_fn).__name__, t.data_ptr() - t.untyped_storage().data_ptr(),
            t.untyped_storage().nbytes(), t.is_contiguous(), t.tolist()]  # fmt: skip


def numbers(lib, rg=False):
    return (lib.arange(6.0).reshape(2, 3) + 1j * lib.arange(6.0, 12.0).reshape(2, 3)).detach().requires_grad_(rg)


VIEWS = {
    "real": lambda lib, z: z.real,
    "imag": lambda lib, z: z.imag,
    "pairs": lambda lib, z: lib.view_as_real(z),
    "real of a transpose": lambda lib, z: z.T.real,
    "a row of the real part": lambda lib, z: z.real[1],
    "complex of a part of the pairs": lambda lib, z: lib.view_as_complex(lib.view_as_real(z)[:, 1:]),
    "conjugate": lambda lib, z: z.conj(),
    "conjugate of a row": lambda lib, z: z[1].conj(),
    "row of a conjugate": lambda lib, z: z.conj()[1],
    "adjoint": lambda lib, z: z.mH,
    "imag of a conjugate": lambda lib, z: z.conj().imag,
    "conjugate of a conjugate": lambda lib, z: z.conj().conj(),
    "detached": lambda lib, z: z.conj().detach(),
    "data": lambda lib, z: z.real.data,
    "strided": lambda lib, z: z.real.as_strided((2, 2), (6, 4), 1),
    "float": lambda lib, z: z.detach().view(lib.float32),
    "int": lambda lib, z: z.detach().view(lib.int32),
    "bytes": lambda lib, z: z.detach().view(lib.uint8),
    "double": lambda lib, z: z.detach().view(lib.float64),
    "unbind of pairs": lambda lib, z: lib.view_as_real(z).unbind(-1)[1],
}


#: views with a history that one of several (unbind) or one that leaves its view (as_strided) does not have
TRACKED = [k for k in VIEWS if k not in ("float", "int", "bytes", "double", "detached", "data", "unbind of pairs", "strided")]


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("rg", [False, True])
def test_a_view_reports_what_pytorch_does(name, computed, rg):
    def run(lib):
        z = numbers(lib, rg)
        z = z * 1 if computed else z
        return facts(VIEWS[name](lib, z))

    same(run)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("computed", [False, True])
def test_writes_are_seen_both_ways(name, computed):
    def run(lib):
        z = numbers(lib) * 1 if computed else numbers(lib)
        v = VIEWS[name](lib, z)
        v.mul_(2) if v.dtype.is_floating_point or v.dtype.is_complex else v.fill_(3)
        first = [z.tolist(), v.tolist(), z._version, v._version]
        z.fill_(1 + 2j)
        second = [z.tolist(), v.tolist(), z._version, v._version]
        v.zero_()
        return [first, second, z.tolist(), v.tolist(), z._version, facts(v), z.is_conj()]

    same(run)


@pytest.mark.parametrize("name", TRACKED)
def test_gradients_flow_through_views_and_writes_through_them(name):
    def run(lib):
        z, w = numbers(lib, True), lib.tensor([2.0, -1.0], requires_grad=True)
        y = z * (1 + 0.5j)
        v = VIEWS[name](lib, y)
        early = (v * v.conj()).real.sum()
        v.mul_(w.sum())
        history = type(y.grad_fn).__name__
        late = (y * y.conj()).real.sum() + (v.abs() ** 2).sum()
        (late * 0.1).backward()
        return [early.item(), late.item(), z.grad.resolve_conj(), w.grad, history]

    same(run)


def test_assigning_parts():
    def run(lib):
        z = numbers(lib)
        z.real, z.imag[0] = lib.ones(3), 5.0
        z.imag += 1
        z.real.fill_(0) if z.imag[0, 0] == 0 else z[1].real.zero_()
        x = lib.zeros(2)
        x.real = lib.tensor([3.0, 4.0])
        return z, x

    same(run)


def test_a_real_tensor_as_complex_numbers():
    def run(lib):
        x = lib.arange(9.0)
        z = lib.view_as_complex(x[:8].view(4, 2))
        z *= 1j
        z[1].conj().copy_(lib.tensor(7 + 8j))
        x[2] = -1
        return x.tolist(), z.tolist(), facts(z), x._version

    same(run)


def test_a_leaf_under_another_type():
    def run(lib):
        p = lib.nn.Parameter(lib.view_as_real(numbers(lib)))
        q = lib.view_as_real(numbers(lib)).requires_grad_()
        c = numbers(lib).conj().requires_grad_()
        opt = lib.optim.SGD([p, q], lr=0.1)
        for _ in range(3):
            opt.zero_grad()
            ((lib.view_as_complex(p) * lib.view_as_complex(q) * c).abs() ** 2).sum().mul(1e-4).backward()
            opt.step()
        return p.detach(), q.detach(), c.grad.resolve_conj(), p.dtype.is_complex, [p.is_leaf, q.is_leaf, c.is_leaf]

    same(run, rtol=1e-3, atol=1e-4)


def test_an_array_shares_the_memory_of_a_part():
    def run(lib):
        z = numbers(lib)
        a = z.real.numpy()
        a[0, 1] = 50
        z.imag[1] = 0
        b = z.numpy()
        b[1, 1] = -3j
        return z.tolist(), a.tolist(), z.real.sum().item()

    same(run)


def test_copies_resolve():
    def run(lib):
        z = numbers(lib)
        c = z.conj()
        out = io.BytesIO()
        lib.save({"conjugate": c, "part": numbers(lib).imag[1]}, out)
        loaded = lib.load(io.BytesIO(out.getvalue()))
        copies = c.resolve_conj(), c.clone(), c + 0, c.conj_physical(), c.imag.resolve_neg(), copy.deepcopy(c)
        return [
            [facts(t)[:6] + [t.tolist()] for t in copies],
            [loaded["conjugate"].tolist(), loaded["part"].tolist()],
            (c @ z.T).tolist(), pickle.loads(pickle.dumps(c)).tolist(), repr(c), lib.equal(c, c.resolve_conj()),
        ]  # fmt: skip

    same(run)


def test_bits_of_other_types():
    def run(lib):
        x = lib.tensor([1.0, -2.0, 3.5, 0.0])
        i = x.view(lib.int32)
        i ^= -(2**31)  # flips the sign
        h = lib.tensor([1.0, 2.0], dtype=lib.bfloat16)
        wide = lib.stack([lib.zeros(2, dtype=lib.int16), h.view(lib.int16)], -1).view(lib.float32)
        return x, i, facts(x.view(lib.float16)), wide, x.view(2, 2).view(lib.complex64).tolist(), x.view(lib.float32)._is_view()

    same(run)


def test_a_new_version_is_noticed_through_another_type():
    def run(lib):
        z = numbers(lib, True) * 2
        y = (z * z).abs().sum()
        z.real.mul_(2)
        y.backward()

    same_error(lambda lib: _without_details(lib, run))


def _without_details(lib, run):
    try:
        run(lib)
    except RuntimeError as error:
        raise RuntimeError(str(error).split(": [")[0]) from None


@pytest.mark.parametrize(
    "run",
    [
        lambda lib: numbers(lib).conj().numpy(),
        lambda lib: numbers(lib).conj().imag.numpy(),
        lambda lib: lib.view_as_real(numbers(lib).conj()),
        lambda lib: numbers(lib).conj().view(lib.float32),
        lambda lib: lib.view_as_real(lib.zeros(2)),
        lambda lib: lib.zeros(2).imag,
        lambda lib: lib.view_as_complex(lib.zeros(3, 3)[:, 1:]),
        lambda lib: lib.view_as_complex(lib.zeros(3, 4)[:, ::2]),
        lambda lib: lib.view_as_complex(lib.zeros(9)[1:].view(4, 2)),
        lambda lib: lib.view_as_complex(lib.zeros(3)),
        lambda lib: lib.view_as_complex(lib.zeros(())),
        lambda lib: lib.zeros(3).view(lib.float64),
        lambda lib: lib.zeros(5)[1:].view(lib.float64),
        lambda lib: lib.zeros(3, 4).T[:, :2].view(lib.float64),
        lambda lib: lib.zeros(3, 2)[:, 0].view(lib.uint8),
        lambda lib: lib.tensor(1.0).view(lib.float16),
        lambda lib: lib.zeros(3, 3)[:, :2].view(lib.float64),
        lambda lib: numbers(lib, True).real.fill_(0),
    ],
)
def test_refusals(run):
    same_error(run)


def test_the_example_that_was_lost():
    z = ours.tensor([1 + 2j, 3 + 4j])
    z.real.fill_(0)
    np.testing.assert_array_equal(z.numpy(), [2j, 4j])


def test_a_shape_is_numbers_or_one_sequence():
    x = torch.arange(6.0)
    for shape in ([2, 3], (2, 3), torch.Size([2, 3])):
        assert x.view(shape).shape == x.reshape(shape).shape == x.view(size=shape).shape == (2, 3)
    assert x.view(2, 3).shape == x.view(-1, 3).shape == (2, 3)


def test_what_a_strided_scatter_keeps_has_the_gradient():
    """PyTorch gives it to the elements that are overwritten instead."""
    x = ours.randn(3, 3, dtype=ours.float64, requires_grad=True)
    written = ours.randn(2, 2, dtype=ours.float64, requires_grad=True)
    assert ours.autograd.gradcheck(lambda a, b: ours.as_strided_scatter(a, b, (2, 2), (1, 2), 1), (x, written))
