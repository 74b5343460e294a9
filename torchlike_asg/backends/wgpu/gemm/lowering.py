"""Lowering of `matmul` and `linear`."""

from __future__ import annotations

from dataclasses import replace

from ....dtypes import bool_, float64
from ...products import Product, product
from ..calls import Epilogue, LibraryNode, Lowering, View, library
from .matrix import MatrixLoader, matrix_loader
from .multiply import Sizes, multiply
from .output import Output, output
from .thin import suits, thin_product
from .tiles import Plan
from .tuning import planned

#: elements of a large result
LARGE = 1 << 22


@library("matmul", "linear", epilogue=True)
def lower(lowering: Lowering, node: LibraryNode) -> bool:
    """Products of real numbers; complex ones are left to the reference."""
    d = node.result.dtype
    if d.is_complex or d in (bool_, float64):
        return False
    p = product(node)
    if p.c_column != 1 and p.c_row == 1 and node.epilogue is None:
        p = p.swapped()
    if node.epilogue is not None and not _takes(lowering, p, node.epilogue):
        return False
    if p.count * p.m * p.n:
        add_product(lowering, node.op, p, node.epilogue)
    return True


def _takes(lowering: Lowering, p: Product, epilogue: Epilogue) -> bool:
    """Whether a product should have an epilogue: not if it is done in halves, or has a large result on which there is much to compute. A
    large tile has nothing else running beside it then: GELU after 4096x3072x768 took 70 us, and 40 as a kernel of its own.
    """
    large = epilogue.long and p.count * p.m * p.n >= LARGE
    return not large and p.c.dtype.is_floating_point and _cut(lowering, p) is None


def add_product(lowering: Lowering, label: str, p: Product, epilogue: Epilogue | None = None) -> None:
    """The dispatches of a product; of halves of it where an operand is larger than a binding may be."""
    cut = _cut(lowering, p) if epilogue is None else None
    if cut is not None:
        for half in _halves(p, cut):
            add_product(lowering, label, half)
        return
    if p.n < p.m and epilogue is None and suits(p.n, p.m, p.k, p.a_k, p.a_row):
        p = p.swapped()
    if suits(p.m, p.n, p.k, p.b_k, p.b_column):
        _add_thin(lowering, label, p, epilogue)
        return
    kinds = [_loader(p, name, checked=False) for name in "aw"]
    kind = " ".join(f"{loader.type}{'k' if loader.along_k else 'r'}" for loader in kinds)
    best = planned(lowering, kind, p.count, p.m, p.n, p.k, lambda low, found: _add_tiled(low, label, p, found, None))
    _add_tiled(lowering, label, p, best, epilogue)


def _add_tiled(lowering: Lowering, label: str, p: Product, found: Plan, epilogue: Epilogue | None) -> None:
    checked = p.k == 0 or p.k % found.tile.depth != 0
    a, w = (_loader(p, name, checked=checked) for name in "aw")
    multiply(lowering, label, Sizes(p.m, p.n, p.k, p.batch), found, a, w, _output(p, epilogue))


def _loader(p: Product, name: str, *, checked: bool) -> MatrixLoader:
    if name == "a":
        return matrix_loader(_view(p, "a"), p.m, p.k, p.a_row, p.a_k, tuple([d[1] for d in p.batch]), checked=checked)
    return matrix_loader(_view(p, "b"), p.n, p.k, p.b_column, p.b_k, tuple([d[2] for d in p.batch]), checked=checked)


def _add_thin(lowering: Lowering, label: str, p: Product, epilogue: Epilogue | None) -> None:
    a, w, sizes = _view(p, "a"), _view(p, "b"), Sizes(p.m, p.n, p.k, p.batch)
    thin_product(lowering, label, sizes, a, w, (p.a_row, p.a_k), (p.b_k, p.b_column), _output(p, epilogue))


def _output(p: Product, epilogue: Epilogue | None) -> Output:
    steps = tuple([d[3] for d in p.batch])
    init = _view(p, "init") if p.init is not None else None
    return output(_view(p, "c"), ((p.m, p.c_row),), ((p.n, p.c_column),), steps, init, (p.init_row, p.init_column), epilogue)


def _view(p: Product, name: str) -> View:
    """One of the product's operands with the product's own dimensions."""
    v, n = getattr(p, name), ("a", "b", "c", "init").index(name)
    rows, columns = {
        "a": ((p.m, p.a_row), (p.k, p.a_k)),
        "b": ((p.k, p.b_k), (p.n, p.b_column)),
        "c": ((p.m, p.c_row), (p.n, p.c_column)),
        "init": ((p.m, p.init_row), (p.n, p.init_column)),
    }[name]
    dims = [*[(d[0], d[1 + n]) for d in p.batch], rows, columns]
    return View(v.slot, tuple([size for size, _ in dims]), tuple([step for _, step in dims]), v.offset, v.dtype)


def _cut(lowering: Lowering, p: Product) -> int | None:
    """Which dimension must be halved since an operand is larger than a binding may be: of the batch, else m, n, k; None if none is."""
    dims = [*p.batch, (p.m, p.a_row, 0, p.c_row, p.init_row), (p.n, 0, p.b_column, p.c_column, p.init_column), (p.k, p.a_k, p.b_k, 0, 0)]
    for i, name in enumerate(("a", "b", "c", *(["init"] if p.init is not None else []))):
        if (_view(p, name).bind()[0].size or 0) > lowering.caps.max_binding:
            return max(range(len(dims)), key=lambda d: abs(dims[d][1 + i]) * (dims[d][0] - 1))
    return None


def _halves(p: Product, cut: int) -> tuple[Product, Product]:
    """The product's first and second half, in order: the second of a sum over k begins with the first's result."""

    def moved(a: int, b: int, c: int, init: int) -> dict[str, View | None]:
        views = {"a": (p.a, a), "b": (p.b, b), "c": (p.c, c), "init": (p.init, init)}
        return {name: None if v is None else replace(v, offset=v.offset + step) for name, (v, step) in views.items()}

    if cut < len(p.batch):
        size, *steps = p.batch[cut]
        first = size // 2
        batches = [tuple([(number, *d[1:]) if i == cut else d for i, d in enumerate(p.batch)]) for number in (first, size - first)]
        return replace(p, batch=batches[0]), replace(p, batch=batches[1], **moved(*[first * s for s in steps]))
    name = "mnk"[cut - len(p.batch)]
    first = -(-getattr(p, name) // 8) * 4
    halves = replace(p, **{name: first}), replace(p, **{name: getattr(p, name) - first})
    if name == "m":
        return halves[0], replace(halves[1], **moved(first * p.a_row, 0, first * p.c_row, first * p.init_row))
    if name == "n":
        return halves[0], replace(halves[1], **moved(0, first * p.b_column, first * p.c_column, first * p.init_column))
    batch = tuple([(size, a, b, c, c) for size, a, b, c, _ in p.batch])
    later = replace(halves[1], **(moved(first * p.a_k, first * p.b_k, 0, 0) | {"init": p.c}))
    return halves[0], replace(later, batch=batch, init_row=p.c_row, init_column=p.c_column)
