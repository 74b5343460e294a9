"""The main job from arguments to report: read the text, train with a progress bar, validate, write a sample."""

from __future__ import annotations

import json
import math
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..i18n.catalog import text
from .arguments import parse
from .checkpoints import resume, save
from .data import Corpus, read_file, standard_library_text
from .problem import Problem
from .training import Settings, Training

PLAIN_LINES = 10  # lines printed in place of the progress bar


def run(args: Namespace) -> int:
    """Train as `args` ask; returns the exit status. Raises Problem for what the user has to change."""

    def say(key: str, **fields: Any) -> None:
        print(text(f"ui.cli.{key}", args.lang, **fields), flush=True)

    content = standard_library_text() if args.data is None else read_file(args.data)
    settings = Settings.of(args)
    device = "wgpu" if args.gpu else "cpu"
    if args.resume is None:
        training = Training(settings, Corpus.of(content, args.block), device)
    else:
        training = resume(args.resume, content, settings.changed_from(Settings.of(parse([]))), device)
    first_step, settings, corpus = training.step, training.settings, training.corpus
    say(
        "summary_data",
        source=args.data or text("ui.cli.standard_library", args.lang),
        train=len(corpus.train),
        held_out=len(corpus.held_out),
        vocabulary=len(corpus.vocabulary),
    )
    say(
        "summary_model",
        parameters=training.parameter_count(),
        layers=settings.layers,
        heads=settings.heads,
        width=settings.width,
        block=settings.block,
    )
    if args.resume is not None:
        say("summary_resumed", step=first_step)
        if first_step >= args.steps:
            say("nothing_to_do", step=first_step, steps=args.steps)

    losses: list[float] = []
    handle = None
    if args.visualize or args.shot is not None:
        handle = training.model.visualize(args.lang, shot=args.shot)
    try:
        tokens_per_s = _train(training, args, losses)
    except KeyboardInterrupt:
        say("interrupted", step=training.step)
        return 130
    if losses and not math.isfinite(losses[-1]):
        say("not_finite", loss=losses[-1], step=training.step)
        return 1

    val_loss = training.validation_loss()
    if handle is not None:
        handle.log(text("ui.cli.validation", args.lang), val_loss)
    sample = training.sample(args.sample_length, args.temperature)
    say("result", val_loss=val_loss, tokens_per_s=tokens_per_s)
    if sample:
        say("sample_heading")
        print(sample, flush=True)
    if args.json is not None:
        report = {
            "losses": losses,
            "val_loss": val_loss,
            "tokens_per_s": tokens_per_s,
            "sample": sample,
            "first_step": first_step,
            "steps": training.step,
            "parameters": training.parameter_count(),
            "settings": vars(settings),
        }
        _write_json(args.json, report)
    return 0


def _train(training: Training, args: Namespace, losses: list[float]) -> float:
    """Step until `args.steps`, the loss stops being finite or the user interrupts, filling `losses`; returns the tokens per second."""
    steps = args.steps - training.step
    if steps <= 0:
        return 0.0
    started = time.perf_counter()
    speed = 0.0
    with _Progress(training.step, args) as show:
        while training.step < args.steps:
            losses.append(training.advance())
            speed = len(losses) * training.tokens_per_step / (time.perf_counter() - started)
            show(training.step, losses[-1], speed)
            if not math.isfinite(losses[-1]):
                break
            if args.save is not None and (training.step % args.save_every == 0 or training.step == args.steps):
                save(args.save, training)
    return speed


class _Progress:
    """A tqdm bar on stderr, or with ``--no-progress`` about ten plain lines on stdout. Called after every step."""

    def __init__(self, first_step: int, args: Namespace) -> None:
        self.say: Callable[..., str] = lambda key, **fields: text(f"ui.cli.{key}", args.lang, **fields)
        self.steps = args.steps
        self.every = max(1, (args.steps - first_step) // PLAIN_LINES)
        self.bar = None
        if not args.no_progress:
            from tqdm import tqdm

            self.bar = tqdm(total=args.steps, initial=first_step, desc=self.say("training"), dynamic_ncols=True)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def __call__(self, step: int, loss: float, speed: float) -> None:
        if self.bar is not None:
            self.bar.set_postfix_str(self.say("progress", loss=loss, speed=speed), refresh=False)
            self.bar.update()
        elif step % self.every == 0 or step == self.steps:
            print(self.say("step_line", step=step, steps=self.steps, loss=loss, speed=speed), flush=True)


def _write_json(path: Path, report: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise Problem("not_writable", path=path, reason=error.strerror) from error
