"""Functions that give what a view function shows, in memory of their own."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same  # noqa: E402

CALLS = {
    "alias_copy": (),
    "as_strided_copy": ((2, 2), (1, 4), 1),
    "detach_copy": (),
    "diagonal_copy": (1,),
    "expand_copy": ((2, 3, 4),),
    "permute_copy": ((1, 0),),
    "select_copy": (0, 1),
    "slice_copy": (1, 1, 4, 2),
    "split_copy": (2, 1),
    "split_with_sizes_copy": ([1, 3], 1),
    "squeeze_copy": (0,),
    "t_copy": (),
    "transpose_copy": (0, 1),
    "unbind_copy": (),
    "unfold_copy": (1, 2, 1),
    "unsqueeze_copy": (1,),
    "view_copy": ((4, 3),),
}


@pytest.mark.parametrize("name", CALLS)
def test_copies(name):
    def run(lib):
        x = lib.arange(12.0).reshape(3, 4)
        parts = getattr(lib, name)(x, *CALLS[name])
        parts = parts if isinstance(parts, (tuple, list)) else [parts]
        seen = [(p, p.stride(), p.is_contiguous()) for p in parts]
        for p in parts:
            p.zero_()
        return [seen[0][1:], x, [p for p in parts]]

    same(run)


def test_out():
    x, out = ours.arange(6.0).reshape(2, 3), ours.empty(3, 2)
    assert ours.t_copy(x, out=out) is out and out.tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
def test_a_copy_needs_no_view(lib):
    x = lib.arange(6.0).reshape(3, 2).t().requires_grad_()
    y = lib.view_copy(x, (6,))
    assert y.tolist() == [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]
    assert lib.narrow_copy(x, 0, 0, 1).stride() == (3, 1)
    assert lib.autograd.grad((y * y).sum(), x)[0].tolist() == [[0.0, 4.0, 8.0], [2.0, 6.0, 10.0]]
