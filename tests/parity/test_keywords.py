"""Arguments by name: every function takes the keywords that PyTorch's takes, overloads and NumPy's names included."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .scripts import same  # noqa: E402


def m(T):
    return T.tensor([[2.0, 1.0], [1.0, 3.0]])


def v(T):
    return T.tensor([1.0, 2.0, 3.0])


def i(T):
    return T.tensor([1, 0])


CALLS = {
    "numpy: x": lambda T: T.sin(x=v(T)),
    "numpy: a": lambda T: T.sum(a=m(T), axis=0, keepdims=True),
    "numpy: x1, x2": lambda T: T.add(x1=v(T), x2=v(T)),
    "trapezoid": lambda T: [T.trapezoid(y=v(T), x=v(T)), T.trapezoid(y=v(T), dx=2.0)],
    "heaviside": lambda T: T.heaviside(v(T), values=v(T)),
    "pow": lambda T: [T.pow(v(T), exponent=2), T.pow(self=2, exponent=v(T)), v(T).pow(exponent=2), v(T).pow_(exponent=v(T))],
    "float_power": lambda T: T.float_power(self=2, exponent=v(T)),
    "number first": lambda T: [T.remainder(self=2, other=v(T)), T.xlogy(self=2, other=v(T)), T.special.zeta(self=2, other=v(T))],
    "where": lambda T: [T.where(condition=v(T) > 1, self=1.0, other=v(T)), T.where(condition=v(T) > 1, input=v(T), other=0.0)],
    "swapaxes": lambda T: [T.swapaxes(m(T), axis0=0, axis1=1), m(T).swapaxes(axis0=0, axis1=1), m(T).swapaxes_(axis0=0, axis1=1)],
    "permute": lambda T: m(T).permute(dims=(1, 0)),
    "expand": lambda T: v(T).expand(size=(2, 3)),
    "reshape": lambda T: [m(T).reshape(shape=(4,)), T.reshape(m(T), shape=(1, 4)), m(T).view(size=(4,))],
    "promote_types": lambda T: T.zeros(1, dtype=T.promote_types(type1=T.float32, type2=T.int64)),
    "result_type": lambda T: [
        T.zeros(1, dtype=T.result_type(tensor=i(T), other=3.0)),
        T.zeros(1, dtype=T.result_type(scalar=3, tensor=v(T))),
        T.zeros(1, dtype=T.result_type(scalar1=3, scalar2=2.0)),
    ],
    "cholesky_solve": lambda T: T.cholesky_solve(m(T), input2=T.linalg.cholesky(m(T)), upper=False),
    "fill_diagonal_": lambda T: m(T).fill_diagonal_(fill_value=2, wrap=True),
    "resize_as_": lambda T: m(T).resize_as_(the_template=v(T)[:2]),
    "pin_memory": lambda T: [
        T.scalar_tensor(2.0, pin_memory=False),
        T.tril_indices(2, 2, pin_memory=False),
        T.randint_like(m(T), high=1, pin_memory=False),
    ],
    "det": lambda T: [T.det(input=m(T)), T.slogdet(input=m(T)), T.logdet(input=m(T)), T.linalg.det(A=m(T))],
    "linalg norms": lambda T: [
        T.linalg.norm(input=m(T)),
        T.linalg.vector_norm(x=v(T)),
        T.linalg.vector_norm(input=v(T), ord=1),
        T.linalg.matrix_norm(input=m(T)),
        T.linalg.cond(input=m(T)),
    ],
    "linalg": lambda T: [
        T.linalg.eigvalsh(input=m(T)),
        T.linalg.pinv(input=m(T)),
        T.linalg.matrix_rank(input=m(T)),
        T.linalg.lstsq(input=m(T), b=m(T))[0],
        T.linalg.solve_triangular(input=m(T), B=m(T), upper=True),
        T.linalg.tensorsolve(input=T.eye(4).view(2, 2, 2, 2), other=m(T)),
        T.linalg.inv(A=m(T)),
    ],
    "lu_solve": lambda T: T.lu_solve(input=v(T)[:2, None], LU_data=m(T), LU_pivots=T.tensor([1, 2], dtype=T.int32)),
    "isin": lambda T: [T.isin(element=2, test_elements=v(T)), T.isin(elements=v(T), test_element=2)],
    "tensor_split": lambda T: list(T.tensor_split(v(T), tensor_indices_or_sections=T.tensor(3))),
    "searchsorted": lambda T: [T.searchsorted(v(T), self=2), T.bucketize(self=2, boundaries=v(T))],
    "special": lambda T: [T.special.chebyshev_polynomial_t(x=v(T), n=2), T.special.airy_ai(x=v(T))],
    "one_hot": lambda T: T.nn.functional.one_hot(input=i(T), num_classes=2),
    "embedding_renorm_": lambda T: T.embedding_renorm_(input=m(T), indices=T.tensor([0]), max_norm=1.0, norm_type=2.0),
    "random fills": lambda T: [
        m(T).uniform_(**{"from": 0, "to": 0}),
        m(T).random_(**{"from": 0, "to": 1}),
        m(T).normal_(mean=1, std=0),
        T.fill_(m(T), value=2),
    ],
    "in-place activations": lambda T: [
        T.nn.functional.hardtanh_(m(T), min_val=0, max_val=0.5),
        T.nn.functional.threshold_(m(T), threshold=1, value=0),
    ],
    "gru": lambda T: list(
        T.gru(
            input=T.ones(1, 1, 2),
            hx=T.zeros(1, 1, 1),
            params=[T.ones(3, 2), T.ones(3, 1)],
            has_biases=False,
            num_layers=1,
            dropout=0.0,
            train=False,
            bidirectional=False,
            batch_first=False,
        )
    ),
}


@pytest.mark.filterwarnings("ignore:torch.lu_solve is deprecated:UserWarning")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_keywords(call):
    same(call)


WRONG = {
    "pow": lambda T: T.pow(v(T), power=2),
    "pow twice": lambda T: T.pow(v(T), 2, exponent=2),
    "permute": lambda T: m(T).permute(order=(1, 0)),
    "result_type": lambda T: T.result_type(tensor=v(T)),
    "gru": lambda T: T.gru(T.ones(1, 1, 2), T.zeros(1, 1, 1), [], has_biases=False, layers=1),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_keywords_that_no_overload_has(call):
    for T in (torch, ours):
        with pytest.raises(TypeError):
            call(T)
