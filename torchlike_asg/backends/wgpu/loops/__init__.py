"""The renderer of loop nests: kernels of elementwise operations and reductions (compiler/kernel.py) as compute shaders.

``support`` what can be written;  ``form`` how the index space is spread over invocations;  ``render`` the text;  ``lower`` dispatches;
``epilogue`` kernels that go on with the result of another
"""

from .epilogue import epilogue
from .lower import lower
from .support import renderable, supported

__all__ = ["epilogue", "lower", "renderable", "supported"]
