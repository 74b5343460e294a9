"""What all tests of the viewer have in common."""

import pytest


@pytest.fixture(autouse=True)
def no_trouble(capsys):
    """Whatever goes wrong beside the training is said on standard error."""
    yield
    assert "had a problem" not in capsys.readouterr().err
