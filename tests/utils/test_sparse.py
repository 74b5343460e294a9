"""Sparse COO tensors against PyTorch's."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import same  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks")


def made(T, **options):
    return T.sparse_coo_tensor(T.tensor([[0, 2, 0, 1], [1, 0, 1, 2]]), T.tensor([1.0, 2.0, 3.0, -1.0]), (3, 4), **options)


CASES = {
    "dense": lambda T: made(T).to_dense(),
    "coalesced": lambda T: [made(T).coalesce().indices(), made(T).coalesce().values(), made(T).coalesce().is_coalesced()],
    "as it was given": lambda T: [made(T)._indices(), made(T)._values(), made(T).is_coalesced(), made(T)._nnz()],
    "shape": lambda T: [made(T).shape, made(T).size(0), made(T).dim(), made(T).sparse_dim(), made(T).dense_dim(), made(T).is_sparse],
    "inferred size": lambda T: T.sparse_coo_tensor([[0, 2], [1, 3]], [1.0, 2.0]).shape,
    "product": lambda T: T.sparse.mm(made(T), T.arange(8.0).view(4, 2)),
    "operator": lambda T: made(T) @ T.arange(8.0).view(4, 2),
    "spmm": lambda T: T.spmm(made(T), T.arange(8.0).view(4, 2)),
    "vector": lambda T: made(T).mv(T.arange(4.0)),
    "transposed": lambda T: made(T).t().to_dense(),
    "scaled": lambda T: (made(T) * 2.5).to_dense(),
    "added": lambda T: (made(T) + made(T)).to_dense(),
    "sum": lambda T: T.sparse.sum(made(T)),
    "of vectors": lambda T: T.sparse_coo_tensor([[0, 2]], [[1.0, 2.0], [3.0, 4.0]], (3, 2)).to_dense(),
    "from dense": lambda T: [T.tensor([[0.0, 2.0], [3.0, 0.0]]).to_sparse().indices(), T.tensor([[0.0, 2.0]]).to_sparse().values()],
    "there and back": lambda T: T.tensor([[0.0, 2.0], [3.0, 0.0]]).to_sparse().to_dense(),
    "double": lambda T: made(T).double().to_dense(),
}


@pytest.mark.parametrize("case", CASES)
def test_as_in_pytorch(case):
    same(CASES[case])


def test_gradients():
    def run(T):
        values = T.tensor([1.0, 2.0, 3.0], requires_grad=True)
        x = T.arange(6.0).view(3, 2).requires_grad_()
        adjacency = T.sparse_coo_tensor(T.tensor([[0, 1, 2], [1, 2, 0]]), values, (3, 3))
        T.sparse.mm(adjacency, x).pow(2).sum().backward()
        return [values.grad, x.grad]

    same(run)


def test_a_graph_convolution():
    def run(T):
        T.manual_seed(0)
        layer, x = T.nn.Linear(4, 2), T.randn(3, 4)
        out = T.spmm(T.sparse_coo_tensor([[0, 1, 2, 0], [1, 2, 0, 0]], T.ones(4), (3, 3)), layer(x))
        out.relu().sum().backward()
        return [out, layer.weight.grad]

    same(run)


MISTAKES = {
    "uncoalesced": lambda T: made(T).values(),
    "product": lambda T: T.sparse.mm(made(T), T.ones(3, 2)),
    "sum of sizes": lambda T: made(T) + T.sparse_coo_tensor([[0], [0]], [1.0], (2, 2)),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case):
    for T in (ours, torch):
        with pytest.raises(RuntimeError):
            MISTAKES[case](T)


def test_the_rest_says_what_to_use():
    with pytest.raises(NotImplementedError, match="to_dense"):
        made(ours).exp()
    assert not hasattr(made(ours), "exp")


def test_places_outside_are_refused_at_once():
    with pytest.raises(RuntimeError, match="for dim 0, size is 3 but found index 5"):
        ours.sparse_coo_tensor([[5], [0]], [1.0], (3, 3))
    with pytest.raises(RuntimeError, match="negative index"):
        ours.sparse_coo_tensor([[-1], [0]], [1.0], (3, 3))
