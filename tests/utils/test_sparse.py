"""Sparse COO tensors against PyTorch's."""

import copy
import io
import pickle

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import same  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore:Sparse invariant checks", "ignore:Sparse CSR tensor support", "ignore:torch.sparse.SparseTensor"
)


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
    "dense by sparse": lambda T: [T.arange(6.0).view(2, 3) @ made(T), T.arange(6.0).view(2, 3).mm(made(T)), T.ones(3) @ made(T)],
    "functions of products": lambda T: [T.mm(made(T), T.ones(4, 2)), T.matmul(T.ones(2, 3), made(T)), T.mv(made(T), T.arange(4.0))],
    "sparse by sparse": lambda T: [
        (made(T) @ made(T).t()).to_dense(),
        (made(T) @ made(T).t()).is_sparse,
        T.sparse.mm(made(T), made(T).t()).is_sparse,
    ],
    "addmm": lambda T: [T.addmm(T.ones(3, 2), made(T), T.ones(4, 2), beta=2, alpha=3), T.sparse.addmm(T.ones(3, 2), made(T), T.ones(4, 2))],
    "linear": lambda T: T.nn.functional.linear(made(T), T.arange(8.0).view(2, 4), T.ones(2)),
    "dense minus sparse": lambda T: [T.ones(3, 4) - made(T), T.ones(3, 4) + made(T)],
    "dense times sparse": lambda T: [(T.arange(12.0).view(3, 4) * made(T)).to_dense(), T.mul(made(T), 2.0).to_dense()],
    "sum over a dimension": lambda T: [made(T).sum(1).to_dense(), T.sum(made(T), dim=0).is_sparse, T.sparse.sum(made(T), (0, 1))],
    "functions that keep zero": lambda T: [T.sqrt(made(T).coalesce()).to_dense(), T.abs(made(T)).to_dense(), T.sin(made(T)).is_sparse],
    "transposed by function": lambda T: [T.transpose(made(T), 0, 1).to_dense(), made(T).T.to_dense(), made(T).mT.is_coalesced()],
    "side by side": lambda T: [
        T.cat([made(T), made(T)]).to_dense(),
        T.cat([made(T), made(T)], 1).shape,
        T.cat((made(T), made(T)), -1)._nnz(),
    ],
    "rows": lambda T: [made(T)[0].to_dense(), made(T)[-1].is_sparse, made(T).index_select(0, T.tensor([2, 0, 2])).to_dense()],
    "columns": lambda T: made(T).index_select(1, T.tensor([1, 3])).to_dense(),
    "unsqueezed": lambda T: [made(T).unsqueeze(0).to_dense(), made(T).unsqueeze(-1).shape, made(T).unsqueeze(1).sparse_dim()],
    "softmax": lambda T: [T.sparse.softmax(made(T), 1).to_dense(), T.sparse.log_softmax(made(T), 0).coalesce().values()],
    "zeros like": lambda T: [T.zeros_like(made(T)).to_dense(), T.zeros_like(made(T))._nnz()],
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


def test_a_dense_matrix_by_a_sparse_one_has_both_gradients():
    def run(T):
        values = T.tensor([1.0, 2.0, 3.0], requires_grad=True)
        x = T.arange(6.0).view(2, 3).requires_grad_()
        (x @ T.sparse_coo_tensor(T.tensor([[0, 1, 2], [1, 2, 0]]), values, (3, 3))).pow(2).sum().backward()
        return [values.grad, x.grad]

    same(run)


def test_the_softmax_of_scores_along_edges_has_gradients():
    def run(T):
        scores = T.tensor([0.5, 2.0, -1.0, 0.0], requires_grad=True)
        attention = T.sparse.softmax(T.sparse_coo_tensor(T.tensor([[0, 0, 1, 2], [1, 2, 0, 1]]), scores, (3, 3)), 1)
        T.sparse.mm(attention, T.arange(6.0).view(3, 2)).pow(2).sum().backward()
        return [attention.to_dense(), scores.grad]

    same(run)


def test_a_custom_function_saves_a_sparse_matrix():
    """As the sparse attention layer of graph networks does."""

    def run(T):
        class Product(T.autograd.Function):
            @staticmethod
            def forward(ctx, indices, values, shape, b):
                a = T.sparse_coo_tensor(indices, values, shape)
                ctx.save_for_backward(a, b)
                return T.matmul(a, b)

            @staticmethod
            def backward(ctx, grad):
                a, b = ctx.saved_tensors
                places = a._indices()[0, :] * 3 + a._indices()[1, :]
                return None, grad.matmul(b.t()).view(-1)[places], None, a.t().matmul(grad)

        values, b = T.tensor([1.0, 2.0, 3.0], requires_grad=True), T.arange(6.0).view(3, 2).requires_grad_()
        out = Product.apply(T.tensor([[0, 1, 2], [1, 2, 0]]), values, (3, 3), b)
        out.pow(2).sum().backward()
        return [out, values.grad, b.grad]

    same(run)


def grown(T):
    """A sparse matrix with a place given twice."""
    return T.sparse_coo_tensor(T.tensor([[0, 2, 0, 1, 0], [1, 0, 1, 2, 1]]), T.tensor([0.5, 2.0, 0.3, -1.0, 0.2]), (3, 4))


def dense(T):
    return T.arange(12.0).view(3, 4) / 7


def layer(T, buffer=True):
    module = T.nn.Linear(2, 2)
    if buffer:
        module.register_buffer("adj", made(T))
    else:
        module.adj = T.nn.Parameter(made(T), requires_grad=False)
    return module


def kept(T):
    file = io.BytesIO()
    T.save({"a": grown(T), "state": layer(T).state_dict()["adj"]}, file)
    file.seek(0)
    read = T.load(file)
    return [read["a"].to_dense(), read["state"].to_dense(), pickle.loads(pickle.dumps(grown(T))).to_dense()]


def restored(T):
    one, other = layer(T), layer(T)
    other.adj.mul_(2)
    one.load_state_dict(other.state_dict())
    return [one.adj.to_dense(), [name for name, _ in one.named_buffers()], copy.deepcopy(other).adj.to_dense(), one.double().adj.dtype]


def leaf_gradients(T):
    a = grown(T).requires_grad_()
    T.sparse.mm(a, dense(T).t()).sum().backward()
    b = made(T).coalesce().requires_grad_()
    b.to_dense().pow(2).sum().backward()
    return [a.grad.to_dense(), a.is_leaf, b.grad.to_dense(), b.grad.is_sparse]


def values_gradients(T):
    v = T.ones(1, requires_grad=True)
    a = T.sparse_coo_tensor([[0], [1]], v, (2, 2))
    x = dense(T).requires_grad_()
    (x.sparse_mask(made(T).coalesce()).to_dense().pow(2).sum() + (a * 3).to_dense().sum()).backward()
    return [a.is_leaf, a.grad_fn is None, v.grad, x.grad]


MORE = {
    "a tensor": lambda T: [isinstance(made(T), T.Tensor), T.is_tensor(made(T)), isinstance(T.nn.Parameter(made(T)), T.nn.Parameter)],
    "batches": lambda T: T.bmm(T.stack([made(T), made(T) * 2]), T.stack([dense(T).t()] * 2)),
    "stacked": lambda T: [T.stack([made(T), made(T)], d).to_dense() for d in (0, 1, 2, -1)],
    "mask": lambda T: [dense(T).sparse_mask(made(T).coalesce()).to_dense(), grown(T).sparse_mask(made(T).coalesce()).to_dense()],
    "relu": lambda T: [T.relu(made(T)).to_dense(), T.nn.functional.relu(grown(T)).to_dense(), made(T).coalesce().relu_().is_sparse],
    "kept zero": lambda T: [getattr(grown(T), n)().to_dense() for n in ("arcsin", "rad2deg", "nan_to_num", "signbit", "isnan", "fix")],
    "dropout in evaluation": lambda T: T.nn.functional.dropout(made(T), 0.5, False).to_dense(),
    "selected": lambda T: [
        made(T)[:, 1].to_dense(),
        made(T)[..., 2].to_dense(),
        made(T)[0, 1],
        grown(T)[0, 1],
        made(T).select(0, -1).to_dense(),
    ],
    "rows one by one": lambda T: [row.to_dense() for row in made(T)],
    "permuted": lambda T: [
        made(T).permute(1, 0).to_dense(),
        made(T).t_().shape,
        made(T).transpose_(0, 1).shape,
        made(T).adjoint().to_dense(),
    ],
    "in place": lambda T: [made(T).add_(grown(T)).to_dense(), made(T).mul_(dense(T)).to_dense(), made(T).copy_(grown(T)).to_dense()],
    "into a dense one": lambda T: [dense(T).add_(made(T), alpha=3), dense(T).mul_(made(T)), T.add(dense(T), made(T), alpha=2)],
    "powers": lambda T: [(grown(T) ** 2).to_dense(), (grown(T) // 2).to_dense(), (made(T) / 2).to_dense()],
    "resized": lambda T: [made(T).sparse_resize_((5, 4), 2, 0).to_dense(), made(T).sparse_resize_and_clear_((2, 2), 2, 0).to_dense()],
    "like it": lambda T: [
        made(T).new_zeros(2, 3).to_dense(),
        T.empty_like(made(T)).is_coalesced(),
        T.sparse_coo_tensor(size=(2, 2)).to_dense(),
    ],
    "hybrid": lambda T: [T.ones(2, 3, 4).to_sparse(2).values(), T.eye(3).to_sparse(1).to_dense()],
    "diagonals": lambda T: T.sparse.spdiags(T.arange(6.0).view(2, 3) + 1, T.tensor([1, -1]), (3, 4)).to_dense(),
    "products that stay sparse": lambda T: [
        T.smm(made(T), dense(T).t()).to_dense(),
        T.sspaddmm(T.sparse_coo_tensor((3, 3)), made(T), dense(T).t()).to_dense(),
    ],
    "linear by a sparse weight": lambda T: T.nn.functional.linear(dense(T), made(T)),
    "constructors of old": lambda T: [
        T.sparse.FloatTensor(T.tensor([[0], [1]]), T.ones(1), T.Size([2, 2])).to_dense(),
        T.sparse.DoubleTensor(2, 3).dtype,
    ],
    "metadata": lambda T: [
        made(T).stride(),
        made(T).storage_offset(),
        made(T).data.is_sparse,
        made(T).get_device(),
        made(T)._version,
        made(T).type(),
    ],
    "a leaf's gradient": leaf_gradients,
    "gradients of values": values_gradients,
    "files": kept,
    "a module's state": restored,
    "a parameter": lambda T: [
        len(list(layer(T, False).parameters())),
        layer(T, False).state_dict()["adj"].to_dense(),
        repr(T.nn.Parameter(made(T))),
    ],
    "csr": lambda T: [
        T.sparse_csr_tensor([0, 1, 2], [0, 1], [1.0, 2.0]).to_dense(),
        repr(T.sparse_csr_tensor([0, 1, 2], [0, 1], [1.0, 2.0], (2, 3), dtype=T.float64)),
        dense(T).to_sparse_csr().crow_indices(),
        made(T).to_sparse_csr().col_indices(),
    ],
    "products of csr": lambda T: [
        made(T).to_sparse_csr() @ dense(T).t(),
        dense(T) @ made(T).t().to_sparse_csr(),
        T.sparse.mm(made(T).to_sparse_csr(), dense(T).t()),
        T.addmm(T.ones(3, 3), made(T).to_sparse_csr(), dense(T).t()),
        made(T).to_sparse_csr() @ dense(T)[0],
    ],
    "csr as a tensor": lambda T: [
        (made(T).to_sparse_csr() * 2).relu().to_sparse().to_dense(),
        [made(T).to_sparse_csr().is_sparse, made(T).to_sparse_csr().is_sparse_csr, made(T).to_sparse_csr()._nnz()],
        T.sparse.sampled_addmm(made(T).to_sparse_csr(), dense(T)[:, :2], dense(T)[:2], beta=0.5).to_dense(),
    ],
}


@pytest.mark.parametrize("case", MORE)
def test_more_as_in_pytorch(case):
    same(MORE[case])


MISTAKES = {
    "dense beside sparse": lambda T: T.cat([made(T), T.ones(3, 4)]),
    "numbers": lambda T: made(T) + 2,
    "repeated places": lambda T: grown(T).relu_(),
    "a truth": lambda T: bool(made(T)),
    "a dense divisor": lambda T: made(T) / T.ones(3, 4),
    "another layout": lambda T: made(T).copy_(T.ones(3, 4)),
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
    for use in (
        lambda s: s == s,
        lambda s: ours.where(s.to_dense() > 0, s, s),
        lambda s: ours.exp(s),
        lambda s: ours.nn.functional.gelu(s),
    ):
        with pytest.raises(NotImplementedError, match="to_dense"):
            use(made(ours))
    with pytest.raises(RuntimeError, match="provide a custom collate_fn"):
        ours.utils.data.default_collate([made(ours), made(ours)])


def test_places_outside_are_refused_at_once():
    with pytest.raises(RuntimeError, match="for dim 0, size is 3 but found index 5"):
        ours.sparse_coo_tensor([[5], [0]], [1.0], (3, 3))
    with pytest.raises(RuntimeError, match="negative index"):
        ours.sparse_coo_tensor([[-1], [0]], [1.0], (3, 3))


@pytest.mark.parametrize("dim, start, length", [(0, 1, 1), (1, 0, 2), (2, 1, 2), (0, 0, 0)])
def test_narrow_copy(dim, start, length):
    def run(T):
        s = T.sparse_coo_tensor(T.tensor([[0, 1, 0], [1, 2, 1]]), T.arange(9.0).reshape(3, 3), (2, 3, 3))
        part = s.narrow_copy(dim, start, length)
        return part.to_dense(), list(part.shape), part.is_coalesced()

    same(run)


@pytest.mark.parametrize("dim, start, length", [(0, 2, 5), (-1, 0, 1), (3, 0, 1)])
def test_narrow_copy_beyond_the_tensor(dim, start, length):
    for T in (torch, ours):
        with pytest.raises(RuntimeError, match=r"out of range|Invalid range"):
            made(T).narrow_copy(dim, start, length)


def test_what_a_refused_call_was_given_is_not_searched_without_end():
    """Where there are sparse tensors, a call that fails is looked at for one."""
    itself: list = [0]
    itself.append(itself)
    assert ours.eye(2).to_sparse().is_sparse
    with pytest.raises(TypeError, match="self-referential"):
        ours.tensor(itself)
