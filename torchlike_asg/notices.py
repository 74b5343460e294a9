"""Warnings that PyTorch gives once in a process, however often their cause is met."""

from __future__ import annotations

import os
import sys
import warnings

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep

CHAIN_MATMUL = (
    "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use torch.linalg.multi_dot instead, which accepts "
    "a list of two or more tensors rather than multiple parameters."
)
CHOLESKY = (
    "torch.cholesky is deprecated in favor of torch.linalg.cholesky and will be removed in a future PyTorch release: its `.mH` is "
    "the upper factor."
)
COMPLEX_TO_REAL = "Casting complex values to real discards the imaginary part"
CREATE_GRAPH = (
    "Using backward() with create_graph=True will create a reference cycle between the parameter and its gradient which can cause "
    "a memory leak. torch.autograd.grad makes none; after backward(), set the .grad of the parameters to None to break it."
)
DEFAULT_TENSOR_TYPE = (
    "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use torch.set_default_dtype() and "
    "torch.set_default_device() as alternatives."
)
FROBENIUS_NORM = (
    "at::frobenius_norm is deprecated and it is just left for JIT compatibility. It will be removed in a future PyTorch release. Please "
    "use `linalg.vector_norm(A, 2., dim, keepdim)` instead"
)
GRAD_OF_RESULT = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be populated during "
    "autograd.backward(): use .retain_grad() if it should be, or access the leaf Tensor if that was meant."
)
H_OF_SCALAR = "Tensor.H is deprecated on 0-D tensors. Consider using x.conj()."
LU = (
    "torch.lu is deprecated in favor of torch.linalg.lu_factor / torch.linalg.lu_factor_ex and will be removed in a future PyTorch "
    "release: the first gives the factors and pivots, the second also what get_infos=True asks for."
)
NO_INDEXING = "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument."
NO_WINDOW = (
    "A window was not provided. A rectangular window will be applied,which is known to cause spectral leakage: torch.hann_window "
    "or torch.hamming_window have less of it, and window=torch.ones(n_fft) says that a rectangle is meant."
)
NUCLEAR_NORM = (
    "at::nuclear_norm is deprecated and it is just left for JIT compatibility. It will be removed in a future PyTorch release. Please "
    "use `linalg.matrix_norm(A, 'nuc', dim, keepdim)` instead"
)
QR = (
    "torch.qr is deprecated in favor of torch.linalg.qr and will be removed in a future PyTorch release: its `mode` is 'reduced' "
    "for some=True, else 'complete'."
)
RANGE = (
    "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with Python's range "
    "builtin. Instead, use torch.arange, which produces values in [start, end)."
)
READ_ONLY_ARRAY = (
    "The given NumPy array is not writable, and PyTorch does not support non-writable tensors: writing to this tensor is undefined. "
    "Copy the array, or make it writable, to have a tensor that can be written. This is said once."
)
READ_ONLY_BUFFER = (
    "The given buffer is not writable, and PyTorch does not support non-writable tensors: the tensor may write to it all the same. "
    "Copy the buffer to protect its data. This is said once."
)
REVERSED = (
    "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw an error in a "
    "future release. `x.mT` transposes batches of matrices, `x.permute(*range(x.ndim - 1, -1, -1))` reverses the dimensions."
)
SLOW_LIST = (
    "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please consider converting the list to a single "
    "numpy.ndarray with numpy.array() before converting to a tensor."
)
SAME_EVEN = "Using padding='same' with even kernel lengths and odd dilation may require a zero-padded copy of the input be created"
STFT_REAL = (
    "stft with return_complex=False is deprecated. In a future pytorch release, stft will return complex tensors for all inputs, and "
    "return_complex=False will raise an error: torch.view_as_real of the complex result is what it returns now."
)
T_OF_SCALAR = "Tensor.T is deprecated on 0-D tensors. This function is the identity in these cases."
TO_SCALAR = (
    "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
    "The number has no history: tensor.detach() or tensor.item() says so."
)
TRIANGULAR_SOLVE = (
    "torch.triangular_solve is deprecated in favor of torch.linalg.solve_triangular and will be removed in a future PyTorch "
    "release: it takes its arguments in the other order and gives the solution alone."
)
TYPED_STORAGE = (
    "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the only storage class: "
    "tensor.untyped_storage() gives it, where tensor.storage() gives a TypedStorage."
)
WHERE_UINT8 = (
    "where received a uint8 condition tensor. This behavior is deprecated and will be removed in a future version of PyTorch. Use a "
    "boolean condition instead."
)

#: the texts that were given; the tests of everything else begin with `heard` set, as in a process that has met all causes before
said: set[str] = set()
heard = [False]
#: whether each occurrence warns (`torch.set_warn_always`)
always = [False]


def script() -> int:
    """The ``stacklevel`` by which the caller warns at the line of the script: at the first frame outside this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level


def once(text: str, category: type[Warning] = UserWarning, stacklevel: int | None = None) -> None:
    """Warn at the line of the script, unless the same was said before."""
    if not always[0]:
        if heard[0] or text in said:
            return
        said.add(text)
    warnings.warn(text, category, stacklevel=script() if stacklevel is None else stacklevel)


def always_said(text: str) -> None:
    """Warn at the line of the script, each time."""
    warnings.warn(text, stacklevel=script())


def deprecated(text: str, stacklevel: int | None = None) -> None:
    """A FutureWarning at the line of the script, each time."""
    warnings.warn(text, FutureWarning, stacklevel=script() if stacklevel is None else stacklevel)
