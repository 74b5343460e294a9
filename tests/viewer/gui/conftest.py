"""Tests of the window run without a display."""

import os

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(scope="session")
def application():
    """Qt's application object: one for all tests of a process."""
    from pyqtgraph.Qt import QtWidgets

    return QtWidgets.QApplication.instance() or QtWidgets.QApplication([])


@pytest.fixture
def sent():
    """What the window said to the trainer."""
    return []


@pytest.fixture
def window(application, sent):
    from .windows import discard, opened

    made = opened(application, sent.append)
    yield made
    discard(made)
