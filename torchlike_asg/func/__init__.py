"""torch.func: functions of functions, on the graph.

A function is recorded once. Its derivative is a sweep over the nodes it recorded; its vectorised form is the same nodes rebuilt
with a batch dimension (asg/batching.py). Both are ordinary graph again: they nest in any order, and repeated calls meet the same nodes.
"""

from ..absent import asked
from ..autograd.derivatives import grad, grad_and_value, jvp, linearize, vjp
from ..autograd.jacobians import hessian, jacfwd, jacrev
from ..autograd.vectorize import functionalize, vmap
from ..nn.utils.stateless import called_with as functional_call
from ..nn.utils.stateless import replace_all_batch_norm_modules_, stack_module_state
from .rearrange import rearrange

#: the name under which ``torch._vmap_internals`` has it
_vmap = vmap

__all__ = [
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "rearrange",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]


__getattr__ = asked(__name__)
