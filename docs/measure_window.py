"""How fast the viewer's window draws a graph of 20,000 operations: ``QT_QPA_PLATFORM=offscreen python docs/measure_window.py``.

Processor time of this process, which other work on the machine disturbs less than the clock; of repeated measurements the median.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.viewer.models import fake_gpt
from torchlike_asg.viewer.gui.app import application
from torchlike_asg.viewer.gui.say import Say
from torchlike_asg.viewer.gui.store import Store
from torchlike_asg.viewer.gui.window import Window
from torchlike_asg.viewer.protocol import Graph, decode, encode

BLOCKS = 920


def milliseconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return 1e3 * (time.process_time() - begun)


def first_frame(frame: bytes) -> tuple[Window, float]:
    """A window, and the time from the message with the graph to its picture."""
    store = Store()
    window = Window(store, Say("en"), "dark")
    window.canvas.animated = False
    window.show()
    window.follow()
    window.grab()

    def show() -> None:
        message = decode(frame)
        assert message is not None
        store.apply(message)
        window.follow()
        window.grab()

    return window, milliseconds(show)


def panning(window: Window, frames: int = 20) -> float:
    """Time of a frame while the canvas is moved about."""
    canvas = window.canvas

    def pan() -> None:
        for k in range(frames):
            canvas.look(canvas.camera.moved(-9 if k % 4 < 2 else 9, -6 if k % 2 else 6))
            canvas.grab()

    return milliseconds(pan) / frames


def main() -> None:
    app = application()
    frame = encode(Graph(1, fake_gpt(BLOCKS).columns()))
    times = []
    for _ in range(5):
        window, took = first_frame(frame)
        times.append(took)
        window.pace.stop()
        window.close()
    canvas = window.canvas
    print(f"{len(window.model.graph)} operations: first frame {statistics.median(times):.0f} ms after its snapshot came")

    def collapsed() -> None:
        canvas.retranslate()  # measures and lays out anew

    print(f"collapsed layout, {len(canvas.scene.boxes)} boxes: {statistics.median(milliseconds(collapsed) for _ in range(9)):.1f} ms")
    print(f"panning, collapsed: {panning(window):.1f} ms a frame")
    print(f"opening every module: {milliseconds(lambda: canvas.set_open(range(len(window.model.tree.groups)))):.0f} ms")
    print(f"panning over {len(canvas.scene.boxes)} boxes:")
    middle = canvas.scene.width / 2, canvas.scene.height / 2, canvas.width(), canvas.height()
    for zoom in (0.0, 0.02, 0.1, 0.35, 1.0):
        if zoom:
            canvas.look(canvas.camera.centred(*middle, zoom))
        else:
            canvas.overview()
        print(f"  zoom {canvas.camera.zoom:.4f}, {len(canvas.visible_nodes())} nodes in view: {panning(window):.1f} ms a frame")
    window.close()
    app.processEvents()


if __name__ == "__main__":
    main()
