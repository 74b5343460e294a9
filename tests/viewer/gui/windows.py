"""Windows on a small graph, and what tests do with them."""

import numpy as np
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from torchlike_asg.viewer.gui.say import Say
from torchlike_asg.viewer.gui.store import Store
from torchlike_asg.viewer.gui.window import Window
from torchlike_asg.viewer.protocol import Graph, Hello, Scalars, Stats

from ..models import fake_gpt


def stats(nodes, step=5, of="value", scale=1.0):
    values = np.asarray([[0.5 * scale, scale, -1.0, 2.0, 0, 3.0]] * len(nodes), np.float32)
    counts = np.tile(np.arange(32, dtype=np.uint32), (len(nodes), 1))
    return Stats(1, step, of, np.asarray(nodes, np.int32), values, counts, np.asarray([[-1, 2]] * len(nodes), np.float32))


def opened(application, send=None, lang="en", theme="dark"):
    """A window on a GPT of four blocks that has learned for 200 steps."""
    store = Store()
    store.apply(Hello(title="GPT"))
    store.apply(Graph(1, fake_gpt(4).columns()))
    store.apply(Scalars("loss", np.arange(1, 201), np.arange(200) / 10, 4 * np.exp(-np.arange(200) / 50)))
    store.apply(Scalars("lr", np.arange(1, 201), np.arange(200) / 10, np.full(200, 1e-3)))
    made = Window(store, Say(lang), theme, send)
    made.canvas.animated = False
    made.show()
    made.follow()
    application.processEvents()
    return made


def discard(window):
    window.pace.stop()
    window.close()
    window.deleteLater()
    QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def node(window, op, scope=""):
    return next(i for i, (o, s) in enumerate(zip(window.model.ops, window.model.scopes, strict=True)) if o == op and s.startswith(scope))


def press(widget, key, text="", mods=QtCore.Qt.KeyboardModifier.NoModifier, scan=0):
    QtWidgets.QApplication.sendEvent(widget, QtGui.QKeyEvent(QtCore.QEvent.Type.KeyPress, key, mods, scan, 0, 0, text))
