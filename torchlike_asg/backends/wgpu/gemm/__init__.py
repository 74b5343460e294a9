"""Matrix products as compute shaders.

``kernel``  the tiled product over two `Loader`s and an `Output`, which convolutions use too;  ``matrix``, ``output`` matrices of any
strides;  ``tiles`` which tile, in how many parts;  ``multiply`` dispatches;  ``lowering`` the operations
"""

from .lowering import add_product, lower

__all__ = ["add_product", "lower"]
