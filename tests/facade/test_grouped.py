"""Products of groups, and what they refuse, beside PyTorch's."""

import pytest

torch = pytest.importorskip("torch")

from .compare import same, same_error  # noqa: E402


def ends(T, *places):
    return T.tensor(places, dtype=T.int32)


PRODUCTS = {
    "rows": lambda T, F: F.grouped_mm(T.randn(4, 8), T.randn(2, 8, 16), offs=ends(T, 1, 4)),
    "an empty group": lambda T, F: F.grouped_mm(T.randn(4, 8), T.randn(3, 8, 16), offs=ends(T, 1, 1, 4)),
    "columns": lambda T, F: F.grouped_mm(T.randn(2, 4, 8), T.randn(8, 16), offs=ends(T, 4, 16)),
    "sums": lambda T, F: F.grouped_mm(T.randn(4, 16), T.randn(16, 8), offs=ends(T, 4, 16)),
    "batches": lambda T, F: F.grouped_mm(T.randn(2, 4, 8), T.randn(2, 8, 16)),
    "bfloat16": lambda T, F: F.grouped_mm(T.ones(4, 8).bfloat16(), T.ones(2, 8, 16).bfloat16(), offs=ends(T, 1, 4)),
}
REFUSED = {
    "no offsets": lambda T, F: F.grouped_mm(T.ones(4, 8), T.ones(2, 8, 16)),
    "offsets for batches": lambda T, F: F.grouped_mm(T.ones(2, 4, 8), T.ones(2, 8, 16), offs=ends(T, 1, 4)),
    "wide offsets": lambda T, F: F.grouped_mm(T.ones(4, 8), T.ones(2, 8, 16), offs=T.tensor([1, 4])),
    "shapes": lambda T, F: F.grouped_mm(T.ones(4, 8), T.ones(2, 7, 16), offs=ends(T, 1, 4)),
    "types": lambda T, F: F.grouped_mm(T.ones(4, 8), T.ones(2, 8, 16).bfloat16(), offs=ends(T, 1, 4)),
    "float64": lambda T, F: F.grouped_mm(T.ones(4, 8).double(), T.ones(2, 8, 16).double(), offs=ends(T, 1, 4)),
    "type of the result": lambda T, F: F.grouped_mm(T.ones(2, 4, 8).half(), T.ones(2, 8, 16).half(), out_dtype=T.float32),
    "bias": lambda T, F: F.grouped_mm(T.ones(2, 4, 8), T.ones(2, 8, 16), bias=T.ones(16)),
    "numbers of groups": lambda T, F: F.grouped_mm(T.ones(4, 8), T.ones(2, 8, 16), offs=ends(T, 1, 3, 4)),
    "a vector": lambda T, F: F.grouped_mm(T.ones(8), T.ones(2, 8, 16)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_values(name):
    def run(T):
        T.manual_seed(0)
        return [PRODUCTS[name](T, T.nn.functional)]

    same(run)


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    same_error(lambda T: REFUSED[name](T, T.nn.functional))


def test_gradients():
    """Those of products group by group: PyTorch's own backward pass refuses expanded gradients."""

    def run(T):
        T.manual_seed(0)
        x, w = T.randn(4, 8, requires_grad=True), T.randn(2, 8, 16, requires_grad=True)
        grouped = T.nn.functional.grouped_mm(x, w, offs=ends(T, 1, 4))
        (grouped * T.arange(64.0).reshape(4, 16)).sum().backward()
        return [x.grad, w.grad]

    same(run)
