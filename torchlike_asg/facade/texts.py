"""Error texts PyTorch users know, in one place. The wording is what they will search for."""

from typing import Any

VERSION = (
    "one of the variables needed for gradient computation has been modified by an inplace operation: [{}], is at a newer version; "
    "expected an older version instead. "
)
VERSION_HINT = "Hint: the backtrace further above shows the operation that failed to compute its gradient. The variable in question was changed in there or anywhere later."  # noqa: E501
TWICE = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). Saved intermediate "  # noqa: E501
    "values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "  # noqa: E501
    "graph a second time or if you need to access saved tensors after calling backward."
)
LEAF = "a leaf Variable that requires grad is being used in an in-place operation."
LEAF_VIEW = "a view of a leaf Variable that requires grad is being used in an in-place operation."
MULTI_VIEW = (
    "This view is the output of a function that returns multiple views. Such functions do not allow the output views to be modified inplace. "  # noqa: E501
    "You should replace the inplace operation by an out-of-place one."
)
WITHIN = (
    "Output 0 of {} is a view and {} modified inplace. This view was created inside a custom Function (or because an input was "
    "returned as-is), whose backward would not see the change. You can clone the output of the custom Function."
)
CAPTURED = (
    "During a grad (vjp, jvp, grad, etc) transform, the function provided attempted to call an in-place operation that would mutate a captured "  # noqa: E501
    "Tensor. This is not supported: give the function the tensors that it mutates as arguments, or have it compute new ones."
)
NOGRAD_VIEW = "A view was created in {0} mode and {1} modified inplace {2}."
VIEW_HINT = (
    " Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and the "
    "inplace either both inside the {0} block (if you don't want the inplace to be tracked) or both outside (if you want the inplace "
    "to be tracked)."
)
INFERENCE_WRITE = (
    "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal tensor before doing "
    "inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details."
)
INFERENCE_VERSION = "Inference tensors do not track version counter."
INFERENCE_LEAF = "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
OVERLAP_SELF = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
    "Please clone() the tensor before performing the operation."
)
OVERLAP_OTHER = (
    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. "
    "Please clone() the tensor before performing the operation."
)
NUMPY = "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
LAZY_NUMPY = "Can't call numpy() on Tensor that has {} bit set. Use tensor.resolve_{}().numpy() instead."
NOT_LEAF = (
    "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that doesn't require "
    "differentiation use var_no_grad = var.detach()."
)
DEEPCOPY = (
    "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  If you were attempting to "
    "deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage."
)
ONLY_FLOATING = "only Tensors of floating point and complex dtype can require gradients"
NO_GRAD_FN = "element {} of tensors does not require grad and does not have a grad_fn"
SCALAR_ONLY = "grad can be implicitly created only for scalar outputs"
REAL_ONLY = "grad can be implicitly created only for real scalar outputs but got {}"
ONE_SHAPE = "Mismatch in shape: grad_output[{0}] has a shape of {1} and output[{0}] has a shape of {2}."
ONE_FIELD = (
    "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: grad_output[{0}] has a dtype "
    "of {1} and output[{0}] has a dtype of {2}."
)
OTHER_THREAD = (
    "a tensor recorded in another thread (or in an iteration that has ended) is used here before it was computed: read it there first "
    "(x.item(), x.numpy(), torchlike_asg.sync()) and pass the value on"
)
VMAP_VALUE = (
    "vmap: It looks like you're calling .item() on a Tensor, or deciding control flow by its values. Inside vmap a tensor stands for every "
    "example of a batch and has no value of its own: use operations such as torch.where instead."
)
UNMAPPED_WRITE = (
    "vmap: an in-place operation would write values that differ from example to example into a tensor that is one and the same for all of "
    "them (its own elements are fewer): it is not mapped over. Use the operation that is not in place, or map over that tensor, too "
    "(of batch normalisation: see torch.func.replace_all_batch_norm_modules_)."
)
VMAP_ESCAPED = "a tensor of inside vmap was kept and is used outside: return it from the function that is mapped"


def overwritten(shape: Any) -> str:
    """The error for a saved tensor of that shape that was written since."""
    return VERSION.format(f"torch.FloatTensor {list(shape)}") + VERSION_HINT


def apart_view(kind: str, done: str) -> str:
    """The error for a view that was made in a mode without history, of this kind, and written or written behind its back after it."""
    inference = kind.startswith("inference")
    mode = "inference" if inference else "no_grad"
    text = NOGRAD_VIEW.format(mode, done, "in normal mode" if inference else "with grad mode enabled")
    return text + VIEW_HINT.format("inference_mode" if inference else "no_grad")
