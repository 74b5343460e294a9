"""Take the pictures of docs/viewer.md: ``QT_QPA_PLATFORM=offscreen python docs/take_screenshots.py [FOLDER]``. Real training, real windows.

Trainer and window share this process here, so that the script can click; otherwise they talk as they always do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.cli.data import Corpus, standard_library_text
from torchlike_asg.cli.training import Settings, Training
from torchlike_asg.viewer import attach
from torchlike_asg.viewer.gui.app import application
from torchlike_asg.viewer.gui.say import Say
from torchlike_asg.viewer.gui.store import Store
from torchlike_asg.viewer.gui.window import Window
from torchlike_asg.viewer.protocol import decode, encode


class Stage:
    """A model in training with its window."""

    def __init__(self, model: nn.Module, lang: str, theme: str) -> None:
        self.app = application()
        self.store = Store()
        self.handle = attach(model, window=False, lang=lang)
        self.session = self.handle._session
        publisher = self.session.publisher
        publisher.closed.clear()  # there is somebody who looks
        self.frames = []
        post = publisher.post
        publisher.post = lambda m: (post(m), self.frames.append(encode(m)))  # type: ignore[method-assign, assignment]
        self.store.apply(publisher._hello)
        self.window = Window(self.store, Say(lang), theme, self.session._hear)
        self.window.canvas.animated = False
        self.window.resize(1440, 900)
        self.window.show()

    def run(self, step: Callable[[], object], seconds: float) -> None:
        """Train for a while, with the window alive."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            step()
            self.pump()

    def until(self, step: Callable[[], object], ready: Callable[[], bool], at_most: float = 60.0) -> None:
        """Train until the window has what is to be shown; looks into steps come as seldom as their cost demands."""
        begun = time.monotonic()
        while not ready() and time.monotonic() - begun < at_most:
            self.run(step, 0.5)
            self.window.follow()

    def seen(self, node: int) -> bool:
        """Whether a node's value, its gradient and its kernel's time are known."""
        store = self.store
        gradient = int(store.graph.gradient[node])
        known = store.look(node, "gradient") is not None or (gradient >= 0 and store.look(gradient) is not None)
        return store.look(node) is not None and known and bool(store.took)

    def pump(self) -> None:
        while self.frames:
            self.store.apply(decode(self.frames.pop(0)))  # type: ignore[arg-type]
        self.app.processEvents()

    def settle(self) -> None:
        self.handle._settle()
        self.pump()
        self.window.follow()
        for _ in range(5):  # layouts of texts that wrap settle in a few rounds
            self.app.processEvents()

    def node(self, op: str, scope: str = "", name: str = "") -> int:
        model = self.window.model
        return next(i for i in range(len(model.graph)) if model.ops[i] == op and scope in model.scopes[i] and name in (model.names[i], ""))

    def shoot(self, path: Path) -> None:
        self.settle()
        self.window.grab().save(str(path))
        print(path)

    def close(self) -> None:
        self.session.publisher.closed.set()
        self.handle.detach()
        self.window.pace.stop()
        self.window.close()
        self.window.deleteLater()
        self.app.processEvents()


class Net(nn.Module):
    """A small residual convolutional network."""

    def __init__(self, classes: int = 10, flat: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()) for _ in range(4))
        self.pool = nn.MaxPool2d(2)
        self.down = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.head = nn.Linear(flat, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.stem(x))
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.down(x).mean((2, 3)))


def transformer(folder: Path, seconds: float) -> None:
    settings = Settings(seed=0, layers=6, width=96, heads=4, block=64, batch=8, lr=3e-3, warmup=20, decay_steps=1000)
    training = Training(settings, Corpus.of(standard_library_text(300_000), settings.block))
    stage = Stage(training.model, "en", "dark")
    stage.run(training.advance, seconds / 2)
    gelu = stage.node("gelu", "blocks.0")
    stage.window.go("node", gelu)
    stage.run(training.advance, seconds)
    stage.handle.log("validation", training.validation_loss())
    stage.handle.mark("half time")
    stage.run(training.advance, seconds)
    stage.handle.log("validation", training.validation_loss())
    stage.until(training.advance, lambda: stage.seen(gelu))
    stage.shoot(folder / "transformer-dark-en.png")
    norm = stage.node("layer_norm", "blocks.0")
    stage.window.bar.kernels.setChecked(True)
    stage.window.go("node", norm)
    stage.until(training.advance, lambda: stage.seen(norm))
    stage.shoot(folder / "kernels-dark-en.png")
    stage.window.inspector.code.emit(norm)
    kernel = (stage.store.epoch, stage.window.code.wanted)
    stage.until(training.advance, lambda: kernel in stage.store.codes)
    stage.settle()
    view = stage.window.code.view
    view.find.setText("fmul")
    stage.settle()
    view.grab().save(str(folder / "code-dark-en.png"))
    print(folder / "code-dark-en.png")
    view.close()
    stage.close()


def pictures(model: nn.Module, size: int) -> Callable[[], object]:
    """A step of training on images to classify."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    images = torch.randn(256, 1, size, size)
    labels = (images.mean((1, 2, 3)) * 200).long().remainder(10).abs()

    def step() -> None:
        chosen = torch.randint(0, 256, (32,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[chosen]), labels[chosen]).backward()
        optimizer.step()

    return step


def convolutions(folder: Path, seconds: float) -> None:
    torch.manual_seed(0)
    model = Net()
    step = pictures(model, 16)
    stage = Stage(model, "ru", "light")
    stage.run(step, seconds / 2)
    stage.window.set_heat("time")
    conv = stage.node("conv", "blocks.0")
    stage.window.go("node", conv)
    stage.run(step, seconds)
    stage.until(step, lambda: stage.seen(conv))
    stage.shoot(folder / "heat-light-ru.png")
    stage.close()


def failure(folder: Path) -> None:
    model = Net(flat=48)
    stage = Stage(model, "en", "dark")
    try:
        model(torch.randn(8, 1, 16, 16))
    except RuntimeError:
        pass
    stage.settle()
    stage.shoot(folder / "failure-dark-en.png")
    stage.close()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images"
    folder.mkdir(exist_ok=True)
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 12.0
    failure(folder)
    convolutions(folder, seconds)
    transformer(folder, seconds)


if __name__ == "__main__":
    main()
