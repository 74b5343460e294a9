"""Mistakes that scripts make, each as code for either library, and words that its message must contain."""

MISTAKES = {
    # shapes
    "adding unequal shapes": (lambda T: T.ones(2) + T.ones(3), "must match the size of tensor"),
    "matrix product": (lambda T: T.ones(2, 3) @ T.ones(2, 3), "mat1 and mat2 shapes cannot be multiplied"),
    "product of vectors": (lambda T: T.dot(T.ones(2), T.ones(3)), "same number of elements"),
    "dot of matrices": (lambda T: T.dot(T.ones(2, 2), T.ones(2, 2)), "1D tensors expected"),
    "mm of vectors": (lambda T: T.mm(T.ones(2), T.ones(2)), "must be a matrix"),
    "bmm of matrices": (lambda T: T.bmm(T.ones(2, 2), T.ones(2, 2)), "3D tensor"),
    "view of another size": (lambda T: T.ones(2, 3).view(4), "is invalid for input of size 6"),
    "view with two unknowns": (lambda T: T.ones(2, 3).view(-1, -1), "only one dimension can be inferred"),
    "view of a transpose": (lambda T: T.ones(2, 3).t().view(6), "view size is not compatible"),
    "reshape": (lambda T: T.ones(2, 3).reshape(5, -1), "is invalid for input of size 6"),
    "expand": (lambda T: T.ones(2, 3).expand(4, 3), "must match the existing size"),
    "expand to fewer dimensions": (lambda T: T.ones(2, 3).expand(3), "number of sizes provided"),
    "permute": (lambda T: T.ones(2, 3).permute(0), "number of dimensions in the tensor input does not match"),
    "permute twice the same": (lambda T: T.ones(2, 3).permute(0, 0), "uplicate dims"),
    "transpose of a missing dimension": (lambda T: T.ones(2, 3).transpose(0, 2), "Dimension out of range"),
    "t of three dimensions": (lambda T: T.ones(2, 3, 4).t(), "expects a tensor with <= 2 dimensions"),
    "sum over a missing dimension": (lambda T: T.ones(2, 3).sum(2), "Dimension out of range"),
    "sum over a dimension twice": (lambda T: T.ones(2, 3).sum((0, 0)), "appears multiple times"),
    "cat of unequal shapes": (lambda T: T.cat([T.ones(2, 3), T.ones(2, 4)]), "Sizes of tensors must match except in dimension 0"),
    "cat of nothing": (lambda T: T.cat([]), "non-empty list"),
    "stack of unequal shapes": (lambda T: T.stack([T.ones(2), T.ones(3)]), "stack expects each tensor to be equal size"),
    "split sizes": (lambda T: T.ones(5).split([2, 2]), "split_sizes to sum exactly to 5"),
    "chunk into none": (lambda T: T.ones(5).chunk(0), "chunks"),
    "narrow too far": (lambda T: T.ones(5).narrow(0, 3, 4), "exceeds dimension size"),
    "select too far": (lambda T: T.ones(5).select(0, 7), "out of range"),
    "unflatten": (lambda T: T.ones(6).unflatten(0, (4, 2)), "don't multiply up to the size of dim 0"),
    "squeeze": (lambda T: T.ones(2, 1).squeeze(3), "Dimension out of range"),
    "repeat": (lambda T: T.ones(2, 3).repeat(2), "can not be smaller than number of dimensions"),
    "flip": (lambda T: T.ones(2).flip(1), "Dimension out of range"),
    "roll without dims": (lambda T: T.ones(2, 2).roll((1, 1), (0,)), "shifts and dimensions must align"),
    "broadcast_to": (lambda T: T.broadcast_to(T.ones(3), (2, 2)), "must match the existing size"),
    "einsum operands": (lambda T: T.einsum("ij,jk->ik", T.ones(2, 3)), "fewer operands were provided"),
    "einsum sizes": (lambda T: T.einsum("ij,jk->ik", T.ones(2, 3), T.ones(2, 2)), "does not broadcast"),
    "diagonal": (lambda T: T.ones(2, 2).diagonal(0, 0, 0), "diagonal dimensions cannot be identical"),
    "negative size": (lambda T: T.zeros(-1), "must be non-negative"),
    "unfold": (lambda T: T.ones(3).unfold(0, 5, 1), "maximum size for tensor at dimension 0 is 3"),
    # indices
    "index too large": (lambda T: T.ones(3)[5], "out of bounds for dimension 0 with size 3"),
    "too many indices": (lambda T: T.ones(3)[0, 0], "too many indices"),
    "index of a number": (lambda T: T.tensor(1.0)[0], "0-dim tensor"),
    "float index": (lambda T: T.ones(3)[1.5], "slices"),
    "float index tensor": (lambda T: T.ones(3)[T.tensor([0.5])], "must be long, int, byte or bool"),
    "mask of another shape": (lambda T: T.ones(3)[T.tensor([True, False])], "does not match the shape of the indexed tensor"),
    "negative step": (lambda T: T.ones(3)[::-1], "step must be greater than zero"),
    "index tensor too large": (lambda T: T.ones(3)[T.tensor([0, 7])].sum().item(), "out of bounds"),
    "gather with floats": (lambda T: T.gather(T.ones(2, 2), 0, T.ones(1, 2)), "int64"),
    "gather of another rank": (lambda T: T.gather(T.ones(2, 2), 0, T.tensor([0])), "same number of dimensions"),
    "index_select with floats": (lambda T: T.index_select(T.ones(2, 2), 0, T.ones(1)), "int32 or int64"),
    "scatter of another type": (lambda T: T.ones(2, 2).scatter_(0, T.tensor([[0]]), T.ones(1, 1).double()), "dtype"),
    "take_along_dim with floats": (lambda T: T.take_along_dim(T.ones(2), T.ones(1), 0), "should be Long"),
    "topk too large": (lambda T: T.ones(3).topk(5), "out of range"),
    "kthvalue": (lambda T: T.ones(3).kthvalue(0), "out of range"),
    "setting with another shape": (lambda T: T.ones(3).__setitem__(slice(0, 2), T.ones(3)), "must match"),
    "masked_select with floats": (lambda T: T.masked_select(T.ones(2), T.ones(2)), "BoolTensor"),
    "one_hot of a negative": (lambda T: T.nn.functional.one_hot(T.tensor([-1])), "must be non-negative"),
    "one_hot of too many": (lambda T: T.nn.functional.one_hot(T.tensor([5]), 3), "smaller than num_classes"),
    # types
    "integer gradient": (lambda T: T.tensor([1, 2], requires_grad=True), "floating point and complex"),
    "mean of integers": (lambda T: T.tensor([1, 2]).mean(), "could not infer output dtype"),
    "matmul of two types": (lambda T: T.ones(2, 2) @ T.ones(2, 2).double(), "same dtype"),
    "in-place float into int": (lambda T: T.tensor([1]).add_(1.5), "can't be cast"),
    "negative bool": (lambda T: -T.tensor([True]), "not supported"),
    "bool minus bool": (lambda T: T.tensor([True]) - T.tensor([True]), "not supported"),
    "text": (lambda T: T.tensor("a"), "str"),
    "ragged list": (lambda T: T.tensor([[1, 2], [3]]), "length"),
    "linear of doubles": (lambda T: T.nn.Linear(2, 2)(T.ones(1, 2).double()), "dtype"),
    "embedding of floats": (lambda T: T.nn.Embedding(3, 2)(T.ones(2)), "Long"),
    "bitwise of floats": (lambda T: T.ones(2) & T.ones(2), "not implemented for 'Float'"),
    "normal_ of integers": (lambda T: T.zeros(2, dtype=T.int64).normal_(), "not implemented for 'Long'"),
    "softmax of integers": (lambda T: T.tensor([1, 2]).softmax(0), "not implemented for 'Long'"),
    "item of many": (lambda T: T.ones(2).item(), "cannot be converted to Scalar"),
    "bool of many": (lambda T: bool(T.ones(2)), "ambiguous"),
    "len of a number": (lambda T: len(T.tensor(1.0)), "0-d tensor"),
    "iterating a number": (lambda T: list(T.tensor(1.0)), "0-d tensor"),
    "float index of range": (lambda T: range(T.tensor(1.5)), "integer tensors"),
    "adding text": (lambda T: T.ones(2) + "a", ""),
    "relu of a list": (lambda T: T.relu([1.0]), "must be Tensor"),
    "logical index type": (lambda T: T.where(T.ones(2), T.ones(2), T.ones(2)), "bool"),
    # gradients
    "backward of many": (lambda T: T.ones(2, requires_grad=True).mul(2).backward(), "only for scalar outputs"),
    "backward without history": (lambda T: T.ones(1).backward(), "does not require grad"),
    "backward twice": (lambda T: _twice(T), "second time"),
    "leaf in place": (lambda T: T.ones(2, requires_grad=True).add_(1), "leaf Variable that requires grad"),
    "view of a leaf in place": (lambda T: T.ones(2, requires_grad=True)[0].add_(1), "view of a leaf Variable"),
    "overwritten": (lambda T: _overwritten(T), "modified by an inplace operation"),
    "numpy of a history": (lambda T: T.ones(2, requires_grad=True).numpy(), "detach"),
    "requires_grad of a result": (lambda T: _flag(T), "leaf variables"),
    "grad of an unused input": (lambda T: _unused(T), "allow_unused"),
    "grad of a constant": (lambda T: T.autograd.grad(T.ones(1, requires_grad=True).sum(), T.ones(1)), "does not require grad"),
    "gradient of another shape": (lambda T: T.ones(2, requires_grad=True).mul(2).backward(T.ones(3)), "Mismatch in shape"),
    "assigning a grad of another shape": (lambda T: setattr(T.ones(2, requires_grad=True), "grad", T.ones(3)), "size"),
    "hook on a constant": (lambda T: T.ones(2).register_hook(print), "doesn't require gradient"),
    "retain_grad of a constant": (lambda T: T.ones(2).retain_grad(), "requires_grad=False"),
    "deepcopy of a result": (lambda T: __import__("copy").deepcopy(T.ones(2, requires_grad=True) * 2), "graph leaves"),
    # modules and losses
    "linear of another width": (lambda T: T.nn.Linear(3, 2)(T.ones(1, 4)), "shapes cannot be multiplied"),
    "conv of another channel count": (lambda T: T.nn.Conv2d(3, 4, 3)(T.ones(1, 1, 8, 8)), "expected input[1, 1, 8, 8] to have 3 channels"),
    "conv of another rank": (lambda T: T.nn.Conv2d(1, 1, 3)(T.ones(8, 8)), "Expected 3D (unbatched) or 4D (batched) input"),
    "kernel larger than the image": (
        lambda T: T.nn.Conv2d(1, 1, 5)(T.ones(1, 1, 3, 3)),
        "greater than actual input size",
    ),
    "groups": (lambda T: T.nn.Conv2d(3, 4, 3, groups=2), "divisible by groups"),
    "batch norm of one value": (lambda T: T.nn.BatchNorm1d(2)(T.ones(1, 2)), "more than 1 value per channel"),
    "batch norm of another rank": (lambda T: T.nn.BatchNorm2d(2)(T.ones(2, 2)), "expected 4D input"),
    "batch norm of other channels": (lambda T: T.nn.BatchNorm1d(3)(T.ones(4, 2)), "running_mean"),
    "layer norm": (lambda T: T.nn.LayerNorm(3)(T.ones(2, 4)), "normalized_shape"),
    "dropout": (lambda T: T.nn.Dropout(1.5), "between 0 and 1"),
    "embedding too large": (lambda T: T.nn.Embedding(3, 2)(T.tensor([5])).sum().item(), "index out of range in self"),
    "target too large": (lambda T: T.nn.functional.cross_entropy(T.ones(1, 3), T.tensor([7])).item(), "out of bounds"),
    "cross entropy batch": (lambda T: T.nn.functional.cross_entropy(T.ones(2, 3), T.tensor([0])), "batch_size"),
    "bce outside": (lambda T: T.nn.functional.binary_cross_entropy(T.tensor([2.0]), T.tensor([1.0])).item(), "between 0 and 1"),
    "bce shapes": (lambda T: T.nn.functional.binary_cross_entropy(T.ones(2), T.ones(3)), "target size"),
    "lstm of another width": (lambda T: T.nn.LSTM(3, 2)(T.ones(4, 1, 5)), "Expected 3, got 5"),
    "attention heads": (lambda T: T.nn.MultiheadAttention(5, 2), "divisible by num_heads"),
    "missing keys": (lambda T: T.nn.Linear(2, 2).load_state_dict({}), "Missing key(s) in state_dict"),
    "unexpected keys": (lambda T: T.nn.ReLU().load_state_dict({"a": T.ones(1)}), "Unexpected key(s) in state_dict"),
    "state of another size": (lambda T: T.nn.Linear(2, 2).load_state_dict(T.nn.Linear(3, 2).state_dict()), "size mismatch for weight"),
    "missing attribute": (lambda T: T.nn.Linear(2, 2).nothing, "has no attribute 'nothing'"),
    "parameter before init": (lambda T: _uninitialised(T), "before Module.__init__() call"),
    "parameter replaced by a tensor": (lambda T: setattr(T.nn.Linear(2, 2), "weight", T.ones(2, 2)), "cannot assign"),
    "module without forward": (lambda T: T.nn.Module()(T.ones(1)), "forward"),
    "sequential index": (lambda T: T.nn.Sequential(T.nn.ReLU())[3], "out of range"),
    # optimizers and data
    "empty parameters": (lambda T: T.optim.SGD([], 0.1), "empty parameter list"),
    "a tensor for parameters": (lambda T: T.optim.SGD(T.ones(2), 0.1), "iterable of Tensors"),
    "negative rate": (lambda T: T.optim.SGD([T.ones(1, requires_grad=True)], -1.0), "Invalid learning rate"),
    "betas": (lambda T: T.optim.Adam([T.ones(1, requires_grad=True)], betas=(2.0, 0.9)), "Invalid beta parameter"),
    "optimizing a result": (lambda T: T.optim.SGD([T.ones(1, requires_grad=True) * 2], 0.1), "can't optimize a non-leaf Tensor"),
    "parameter in two groups": (lambda T: _two_groups(T), "more than one parameter group"),
    "tensors of unequal length": (lambda T: T.utils.data.TensorDataset(T.ones(2), T.ones(3)), "Size mismatch between tensors"),
    "batch size": (lambda T: T.utils.data.DataLoader([1], batch_size=0), "batch_size"),
    "sampler and shuffle": (lambda T: T.utils.data.DataLoader([1], shuffle=True, sampler=[0]), "mutually exclusive"),
    "random_split": (lambda T: T.utils.data.random_split([1, 2, 3], [1, 1]), "does not equal the length of the input dataset"),
    "multinomial of too many": (lambda T: T.multinomial(T.ones(2), 3), "without replacement"),
    "multinomial of negatives": (lambda T: T.multinomial(T.tensor([-1.0, 2.0]), 1), "probability tensor contains"),
    "uniform": (lambda T: T.empty(2).uniform_(2, 1), "from"),
    "bernoulli": (lambda T: T.empty(2).bernoulli_(2.0), "p"),
    # linear algebra
    "inverse of a rectangle": (lambda T: T.linalg.inv(T.ones(2, 3)), "square matrices"),
    "inverse of a singular matrix": (lambda T: T.linalg.inv(T.zeros(2, 2)).sum().item(), "singular"),
    "cholesky": (lambda T: T.linalg.cholesky(-T.eye(2)).sum().item(), "not positive-definite"),
    "solve": (lambda T: T.linalg.solve(T.eye(2), T.ones(3)), "solve"),
    # devices
    "cuda": (lambda T: T.ones(2).cuda(), "CUDA"),
    "device": (lambda T: T.device("nowhere"), "Expected one of"),
}


def _twice(T):
    y = T.ones(1, requires_grad=True).exp()
    y.backward()
    y.backward()


def _overwritten(T):
    x = T.ones(2, requires_grad=True)
    y = x.exp()
    y.add_(1)
    y.sum().backward()


def _flag(T):
    y = T.ones(2, requires_grad=True) * 2
    y.requires_grad = False


def _unused(T):
    a, b = T.ones(1, requires_grad=True), T.ones(1, requires_grad=True)
    T.autograd.grad(a.sum(), b)


def _uninitialised(T):
    class M(T.nn.Module):
        def __init__(self):
            self.w = T.nn.Parameter(T.ones(1))

    M()


def _two_groups(T):
    p = T.ones(1, requires_grad=True)
    T.optim.SGD([{"params": [p]}, {"params": [p]}], 0.1)
