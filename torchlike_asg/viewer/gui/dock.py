"""A panel at the window's side, with a title whose text grows with all others: that of Qt's own stays as it was."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtWidgets

from .canvas import Colors
from .theme import cross


class Dock(QtWidgets.QDockWidget):
    """Holds a widget. It is moved by its title, and closed by the button there."""

    def __init__(self, window: QtWidgets.QMainWindow, widget: QtWidgets.QWidget) -> None:
        super().__init__(window)
        self.setObjectName(type(widget).__name__)
        self.setWidget(widget)
        feature = QtWidgets.QDockWidget.DockWidgetFeature
        self.setFeatures(feature.DockWidgetMovable | feature.DockWidgetClosable)
        title = QtWidgets.QWidget()
        title.setObjectName("dock")
        title.setAttribute(QtCore.Qt.WidgetAttribute.WA_StyledBackground)
        row = QtWidgets.QHBoxLayout(title)
        row.setContentsMargins(14, 3, 6, 3)
        self.label = QtWidgets.QLabel()
        self.closer = QtWidgets.QToolButton(autoRaise=True)
        self.closer.setProperty("crumb", True)
        self.closer.clicked.connect(self.close)
        row.addWidget(self.label, 1)
        row.addWidget(self.closer)
        self.setTitleBarWidget(title)
        self.windowTitleChanged.connect(self.label.setText)
        self._silence()

    def _silence(self) -> None:
        """Qt's own buttons stay hidden; their texts are in the desktop's language, or another."""
        for name in ("qt_dockwidget_closebutton", "qt_dockwidget_floatbutton"):
            button = self.findChild(QtWidgets.QAbstractButton, name)
            button.setToolTip("")
            button.setAccessibleName("")
            button.setAccessibleDescription("")

    def event(self, event: QtCore.QEvent) -> bool:
        done: bool = super().event(event)
        if event.type() == QtCore.QEvent.Type.LanguageChange:
            self._silence()
        return done

    def dress(self, colors: Colors, close: str) -> None:
        """The button's icon in a theme, and its name."""
        self.closer.setIcon(cross(colors))
        self.closer.setToolTip(close)
        self.closer.setAccessibleName(close)
