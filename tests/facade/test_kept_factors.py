"""Operands kept for the gradient where they lie, or as a copy: an overwritten one is refused exactly where PyTorch refuses it."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

SHAPES = [
    ((4,), (4, 3)),
    ((4,), (2, 4, 3)),
    ((2, 3, 4), (4,)),
    ((3, 4), (2, 4, 3)),
    ((2, 3, 4), (4, 3)),
    ((2, 3, 4), (2, 4, 3)),
    ((1, 3, 4), (2, 4, 3)),
    ((2, 3, 4), (1, 4, 3)),
    ((2, 1, 3, 4), (5, 4, 3)),
    ((2, 5, 3, 4), (5, 4, 3)),
    ((2, 5, 3, 4), (4, 3)),
    ((4,), (2, 5, 4, 3)),
]
LAYOUTS = {
    "rows": lambda x: x,
    "columns": lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2) if x.dim() > 1 else x,
    "reversed": lambda x: x.permute(*range(x.dim())[::-1]).contiguous().permute(*range(x.dim())[::-1]),
}
SQUARE = [[3.0, 0.5, 0.2], [0.5, 2.0, 0.3], [0.2, 0.3, 1.0]]

PRODUCTS = {
    f"{a} @ {b}, {layout}": (lambda T, layout=layout, a=a, b=b: [LAYOUTS[layout](T.ones(*s)) for s in (a, b)], lambda T, x, y: x @ y)
    for layout in LAYOUTS
    for a, b in SHAPES
}
EQUATIONS = {
    equation: (lambda T, a=a, b=b: [T.ones(*a), T.ones(*b)], lambda T, x, y, e=equation: T.einsum(e, x, y))
    for equation, a, b in [
        ("ij,jk->ik", (3, 4), (4, 2)),
        ("...ik,...j->ij", (5, 3, 4), (5, 2)),
        ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
        ("bqhd,bkhd->bhqk", (2, 3, 2, 4), (2, 5, 2, 4)),
        ("i,j->ij", (3,), (2,)),
    ]
}
ATTENTION = {
    f"attention {sizes}": (
        lambda T, sizes=sizes: [T.ones(*s) for s in sizes],
        lambda T, q, k, v: T.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True),
    )
    for sizes in [((4, 3, 8), (4, 6, 8), (4, 6, 8)), ((2, 4, 3, 8), (2, 4, 6, 8), (2, 4, 6, 8)), ((2, 4, 3, 8), (2, 4, 6, 8), (2, 4, 6, 5))]
}
FACTORIZATIONS = {
    name: (lambda T: [T.tensor(SQUARE)], function)
    for name, function in {
        "lu": lambda T, x: T.linalg.lu(x)[1:],
        "lu_factor": lambda T, x: T.linalg.lu_factor(x)[:1],
        "qr": lambda T, x: T.linalg.qr(x),
        "svd": lambda T, x: T.linalg.svd(x),
        "svdvals": lambda T, x: T.linalg.svdvals(x),
        "eigh": lambda T, x: T.linalg.eigh(x),
        "eigvalsh": lambda T, x: T.linalg.eigvalsh(x),
        "eigvals": lambda T, x: T.linalg.eigvals(x).abs(),
        "nuclear norm": lambda T, x: T.linalg.norm(x, "nuc"),
        "cond": lambda T, x: T.linalg.cond(x),
    }.items()
}
COMPOSED = {
    name: (lambda T: [T.tensor([0.5, 1.0, 2.0]), T.tensor([1.0, 2.0, 3.0])], function)
    for name, function in {
        "ldexp": lambda T, x, y: T.ldexp(x, y),
        "polar": lambda T, x, y: T.view_as_real(T.polar(x, y)),
        "masked.prod of a number": lambda T, x, y: T.masked.prod(x[0].clone()),
    }.items()
}
MASKS = {
    f"masked.{name} of {shape}": (
        lambda T, shape=shape: [T.ones(2, 3), T.ones(*shape, dtype=T.bool)],
        lambda T, x, mask, name=name: getattr(T.masked, name)(x, 0, mask=mask),
    )
    for name in ("sum", "amax", "softmax", "cumsum")
    for shape in ((2, 3), (3,))
}
CASES = PRODUCTS | EQUATIONS | ATTENTION | FACTORIZATIONS | MASKS | COMPOSED


def refused(lib, case, overwritten):
    """Whether backward is refused after that operand was overwritten."""
    make, function = CASES[case]
    operands = [x.clone(memory_format=lib.preserve_format) for x in [x.requires_grad_() if x.is_floating_point() else x for x in make(lib)]]
    found = function(lib, *operands)
    total = sum(r.sum() for r in (found if isinstance(found, tuple) else (found,)))
    with lib.no_grad():
        operands[overwritten].fill_(1.0)
    try:
        total.backward()
    except RuntimeError as error:
        return "inplace operation" in str(error)
    return False


@pytest.mark.parametrize("case", CASES)
def test_refused_where_pytorch_refuses(case):
    for k in range(len(CASES[case][0](torch))):
        assert refused(ours, case, k) == refused(torch, case, k), f"operand {k}"
