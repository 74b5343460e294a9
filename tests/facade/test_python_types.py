"""Python's float, int, bool and complex in the place of an element type."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from .compare import same  # noqa: E402

TAKE = {
    "to": lambda T, d: T.ones(2).to(d),
    "to, by name": lambda T, d: T.ones(2).to(dtype=d),
    "to a device": lambda T, d: T.ones(2).to("cpu", d),
    "view": lambda T, d: T.arange(8.0).view(d),
    "view, by name": lambda T, d: T.arange(8.0).view(dtype=d),
    "a module": lambda T, d: T.nn.Linear(2, 2).to(d).weight.dtype,
    "a module, by name": lambda T, d: T.nn.Linear(2, 2).to(dtype=d).weight.dtype,
    "promotion": lambda T, d: (T.promote_types(d, T.float32), T.promote_types(T.int8, d), T.can_cast(d, T.float32), T.can_cast(T.int8, d)),
    "limits": lambda T, d: (T.finfo if d in (float, complex) else T.iinfo)(d).max,
}


@pytest.mark.filterwarnings("ignore:Complex modules are a new feature")
@pytest.mark.parametrize("take", TAKE.values(), ids=TAKE)
@pytest.mark.parametrize("given", [float, int, bool, complex, str], ids=lambda d: d.__name__)
def test_a_type_of_python_is_an_element_type(take, given):
    same(lambda T: take(T, given))


@pytest.mark.parametrize(
    "enlarge",
    [
        lambda T: T.from_numpy(np.zeros((2, 2))).resize_(5, 5),
        lambda T: T.ones(3, out=T.from_numpy(np.zeros(0, np.float32))),
        lambda T: T.from_numpy(np.zeros(4)).resize_(2, 2),
    ],
    ids=["enlarged", "a result", "not enlarged"],
)
def test_memory_shared_with_numpy_is_not_enlarged(enlarge):
    same(lambda T: enlarge(T))


def test_memory_given_to_numpy_is_not_enlarged():
    def run(T):
        x = T.zeros(2, 2)
        shares = x.numpy()
        try:
            x.resize_(3, 3)
        finally:
            shares[0, 0] = 1
            assert x[0, 0] == 1
        return x

    same(run)
