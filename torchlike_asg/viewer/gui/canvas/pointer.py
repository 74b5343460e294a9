"""What the mouse does on the canvas: drag pans, the wheel zooms to the pointer (Shift pans across, two fingers pan), a click selects, a
double click opens or closes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

if TYPE_CHECKING:
    from .widget import Canvas

ZOOM_STEP = 1.18


class Pointer:
    """The canvas hands its mouse events on to one."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._drag: QtCore.QPointF | None = None
        self._moved = False

    def _box(self, at: QtCore.QPointF) -> int:
        canvas = self._canvas
        return canvas.geometry_.at(*canvas.camera.to_scene(at.x(), at.y()))

    def wheel(self, event: QtGui.QWheelEvent) -> None:
        canvas, delta = self._canvas, event.angleDelta()
        if event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier:
            canvas.look(canvas.camera.moved(delta.y() or delta.x(), 0))
        elif not event.pixelDelta().isNull() and not event.modifiers() & QtCore.Qt.KeyboardModifier.ControlModifier:
            canvas.look(canvas.camera.moved(event.pixelDelta().x(), event.pixelDelta().y()))  # a touchpad's two fingers
        else:
            at = event.position()
            canvas.look(canvas.camera.zoomed(ZOOM_STEP ** (delta.y() / 120), at.x(), at.y()))
        event.accept()

    def press(self, event: QtGui.QMouseEvent) -> None:
        if event.button() in (QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.MouseButton.MiddleButton):
            self._drag, self._moved = event.position(), False

    def move(self, event: QtGui.QMouseEvent) -> None:
        at, canvas = event.position(), self._canvas
        if self._drag is None:
            canvas.hover(self._box(at))
            return
        away = at - self._drag
        if self._moved or abs(away.x()) + abs(away.y()) >= QtWidgets.QApplication.startDragDistance() / 2:
            self._moved, self._drag = True, at
            canvas.setCursor(QtCore.Qt.CursorShape.ClosedHandCursor)
            canvas.look(canvas.camera.moved(away.x(), away.y()))

    def release(self, event: QtGui.QMouseEvent) -> None:
        if self._drag is not None and not self._moved and event.button() == QtCore.Qt.MouseButton.LeftButton:
            self._canvas.choose(self._box(event.position()))
        self._drag = None
        self._canvas.unsetCursor()

    def double_click(self, event: QtGui.QMouseEvent) -> None:
        canvas, box = self._canvas, self._box(event.position())
        if box >= 0 and canvas.scene.boxes[box].kind != "node":
            canvas.choose(box)
            canvas.toggle(canvas.scene.boxes[box].item)
