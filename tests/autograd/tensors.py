"""Tensors to begin with, and as lists, under either library."""


def plain(lib, x):
    """Tensors as lists, in any nest."""
    if isinstance(x, lib.Tensor):
        return x.tolist()
    return [plain(lib, i) for i in x] if isinstance(x, (list, tuple)) else x


def vector(lib, *numbers):
    return lib.tensor([float(n) for n in numbers], requires_grad=True)
