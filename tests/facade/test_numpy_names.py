"""NumPy's names of arguments, and results written into `out`, wherever PyTorch takes them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

torch.set_num_threads(1)
X = np.random.default_rng(0).random((3, 4)).astype(np.float32)
CALLS = [
    ((), {"axis": 0}),
    ((), {"axis": 1, "keepdims": True}),
    ((2,), {"axis": 0}),
    ((), {"axis": (0, 1)}),
    ((), {"dim": 0, "keepdims": True}),
]
SPACES = {
    "torch": lambda T: T,
    "Tensor": lambda T: T.Tensor,
    "linalg": lambda T: T.linalg,
    "special": lambda T: T.special,
}
#: names of PyTorch's that are not here or deprecated, views copied, and sizes, which no script asks for by that name
ABSENT = """
    norm_except_dim nuclear_norm frobenius_norm unsafe_chunk unsafe_split hash_tensor size stride compile load save cuda
""".split()


def plain(result):
    return [a for r in result for a in plain(r)] if isinstance(result, (tuple, list)) else [np.asarray(result)]


def names(space):
    here = SPACES[space](torch)
    return [
        n
        for n in dir(here)
        if n[0].islower() and n not in ABSENT and not n.endswith("_copy") and callable(getattr(here, n)) and not n.startswith("is_")
    ]


@pytest.mark.parametrize("space", SPACES)
def test_numpys_names_of_arguments(space):
    checked = 0
    for name in names(space):
        for args, kwargs in CALLS:
            try:
                want = getattr(SPACES[space](torch), name)(torch.from_numpy(X.copy()), *args, **kwargs)
            except (TypeError, RuntimeError, ValueError, IndexError, AttributeError):
                continue
            got = getattr(SPACES[space](ours), name)(ours.from_numpy(X.copy()), *args, **kwargs)
            for a, b in zip(plain(got), plain(want), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=f"{name} {args} {kwargs}")
            checked += 1
    assert checked >= {"torch": 90, "Tensor": 80, "linalg": 10, "special": 4}[space]


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "amax", "logsumexp", "std", "var", "all", "nansum", "argmax"])
def test_reductions_write_into_out(name):
    for lib in (torch, ours):
        out = getattr(lib, name)(lib.zeros(4, 4), 0)
        assert getattr(lib, name)(lib.from_numpy(X.copy()), 0, out=out) is out
        np.testing.assert_allclose(out.numpy(), getattr(lib, name)(lib.from_numpy(X.copy()), 0).numpy())


@pytest.mark.parametrize("name", ["max", "min", "sort", "topk", "cummax", "median", "kthvalue"])
def test_pairs_write_into_out(name):
    args = (2,) if name in ("topk", "kthvalue") else (0,)
    results = []
    for lib in (torch, ours):
        x = lib.from_numpy(X.copy())
        values, indices = lib.empty(0), lib.empty(0, dtype=lib.int64)
        getattr(lib, name)(x, *args, out=(values, indices))
        results.append((values.numpy(), indices.numpy()))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
