import pytest


@pytest.fixture(autouse=True)
def checked():
    """PyTorch's distributions check their parameters: its compiler, wherever it was used in the process, turns that off for good."""
    torch = pytest.importorskip("torch")
    torch.distributions.Distribution.set_default_validate_args(True)
