"""The renderer of loop nests: kernels of elementwise operations and reductions (compiler/kernel.py) as native code.

``nest`` the structure of the code;  ``render`` the code;  ``lower`` calls and their costs;  ``weigh`` weights of formulas
"""

from .lower import epilogue, lower, renderable

__all__ = ["epilogue", "lower", "renderable"]
