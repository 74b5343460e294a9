"""A line of switches with samples of what they switch, and texts that change all the time."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

#: pixels that a text may be narrower than its place
SLACK = 28


def swatch(hue: str, dash: list[int] | None = None) -> QtGui.QIcon:
    """A sample of a colour, sharp on every screen: a disc while its curve shows, a ring while not; of dashes a line, fainter while not."""
    icon = QtGui.QIcon()
    for state in (QtGui.QIcon.State.On, QtGui.QIcon.State.Off):
        picture = QtGui.QPixmap(48, 48)
        picture.fill(QtCore.Qt.GlobalColor.transparent)
        p = QtGui.QPainter(picture)
        p.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        on = state == QtGui.QIcon.State.On
        if dash is None:
            p.setPen(QtGui.QPen(QtGui.QColor(hue), 6))
            p.setBrush(QtGui.QColor(hue if on else "transparent"))
            p.drawEllipse(9, 9, 30, 30)
        else:
            pen = QtGui.QPen(QtGui.QColor(hue), 6)
            pen.setDashPattern([0.7 * d for d in dash])
            p.setOpacity(1.0 if on else 0.35)
            p.setPen(pen)
            p.drawLine(0, 24, 48, 24)
        p.end()
        icon.addPixmap(picture, QtGui.QIcon.Mode.Normal, state)
    return icon


def tell(widget: QtWidgets.QLabel | QtWidgets.QAbstractButton, text: str) -> None:
    """Give a widget another text. Its size is fixed, and grows or shrinks in jumps: so what is around it is seldom laid out anew."""
    if widget.text() != text:
        widget.setText(text)
    hint, wide = widget.sizeHint(), widget.minimumWidth()
    if not wide - SLACK <= hint.width() <= wide or hint.height() != widget.minimumHeight():
        widget.setFixedSize(hint.width() + SLACK // 4, hint.height())


class Strip(QtWidgets.QScrollArea):
    """A line of widgets that takes what room there is; the wheel moves what does not fit."""

    def __init__(self) -> None:
        super().__init__(widgetResizable=True)
        self.inner = QtWidgets.QWidget()
        self.setWidget(self.inner)
        self.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        for bar in (self.setHorizontalScrollBarPolicy, self.setVerticalScrollBarPolicy):
            bar(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        bar = self.horizontalScrollBar()
        bar.setValue(bar.value() - event.angleDelta().y() // 2 - event.angleDelta().x() // 2)

    def sizeHint(self) -> QtCore.QSize:
        return self.inner.sizeHint()

    def minimumSizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(60, max(self.inner.sizeHint().height(), 24))

    def event(self, event: QtCore.QEvent) -> bool:
        if event.type() == QtCore.QEvent.Type.LayoutRequest:  # what is in it has changed
            self.setFixedHeight(self.minimumSizeHint().height())
            self.updateGeometry()
        return super().event(event)
