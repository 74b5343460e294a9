"""Recordings and saved graphs: damaged ones give one clear line, long ones stay bounded, two are compared."""

import errno
import io
import json
import random

import numpy as np
import pytest

from torchlike_asg.i18n import catalog
from torchlike_asg.viewer import __main__ as program
from torchlike_asg.viewer import publisher
from torchlike_asg.viewer.damage import Damaged, told
from torchlike_asg.viewer.gui.app import load
from torchlike_asg.viewer.gui.store import Store
from torchlike_asg.viewer.protocol import MAGIC, Bye, Graph, Hello, Scalars, Stats, encode, read_recording, write_frame
from torchlike_asg.viewer.snapshot import PARTS

from ..models import fake_gpt

LOSSES = np.linspace(3.0, 1.0, 50)


def recording(losses=LOSSES):
    buffer = io.BytesIO()
    buffer.write(MAGIC)
    steps = np.arange(1, len(losses) + 1)
    looks = Stats(1, 7, "value", np.asarray([4, 5], np.int32), np.ones((2, 6), np.float32))
    for message in (Hello(title="GPT"), Graph(1, fake_gpt(1).columns()), Scalars("loss", steps, steps * 0.1, losses), looks, Bye()):
        write_frame(buffer, encode(message))
    return buffer.getvalue()


def test_a_recording_that_ends_early_is_shown_as_far_as_it_goes(tmp_path):
    path, whole = tmp_path / "run.asgtrace", recording()
    path.write_bytes(whole[:-70])
    store = Store()
    assert load(path, store) is None
    assert store.ended == "recorded"
    assert store.curves["loss"].values.tolist() == LOSSES.tolist()


def test_damaged_recordings_never_do_worse_than_a_message(tmp_path):
    path, whole = tmp_path / "run.asgtrace", recording()
    shown = refused = 0
    for seed in range(400):
        draw = random.Random(seed)
        data = bytearray(whole[: draw.randrange(len(whole))] if seed % 4 == 0 else whole)
        for _ in range(draw.choice((0, 1, 1, 5, 50))):
            if data:
                data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data)
        try:
            load(path, Store())
            shown += 1
        except ValueError as error:
            assert "\n" not in str(error)
            refused += 1
    assert shown > 20
    assert refused > 20


def test_damaged_graphs_never_do_worse_than_a_message(tmp_path):
    path, data = tmp_path / "g.asg.json", json.loads(fake_gpt(1).to_json())
    refused = 0
    for seed in range(300):
        draw = random.Random(seed)
        changed = json.loads(json.dumps(data))
        name = draw.choice(sorted(changed))
        value = changed[name]
        spoilt = draw.choice([None, 7, "x", [], [[1], [2, 3]], {"a": 1}, [-5] * len(value), [10**30] * len(value), [None] * len(value)])
        changed[name] = spoilt
        path.write_text(json.dumps(changed))
        try:
            load(path, Store())
        except ValueError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 200


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.asgtrace", None, "There is no file"),
        ("empty.asgtrace", b"", "it is not a recording"),
        ("other.asgtrace", b"PK\x03\x04 something else", "it is not a recording"),
        ("only.asgtrace", MAGIC, "there is nothing in it"),
        ("cut.asgtrace", recording()[:300], "there is nothing in it"),
        ("other.asg.json", b'{"format": "other"}', "it is not a saved graph"),
        ("text.asg.json", b"\xff\xfe no json", "it is not a saved graph"),
    ],
)
def test_the_program_says_in_one_line_what_it_cannot_show(name, content, said, tmp_path, capsys, application, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)  # the test's own
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert program.main([str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
    assert str(path) in err


def test_the_reason_is_told_in_the_language_of_the_window(tmp_path, capsys, application, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)  # the test's own
    path = tmp_path / "x.asgtrace"
    path.write_bytes(b"PK something else")
    assert program.main([str(path), "--lang", "ru"]) == 2
    assert capsys.readouterr().err == f"{path} нельзя показать: это не запись.\n"


@pytest.mark.parametrize("lang", catalog.languages())
def test_every_reason_has_a_text(lang, tmp_path):
    assert told(Damaged("graph_column", name="dst"), lang) == catalog.text("ui.viewer.damage.graph_column", lang, name="dst")
    with pytest.raises(OSError) as caught:
        open(tmp_path / "nowhere" / "x", "wb")
    assert told(caught.value, lang) == catalog.text("ui.viewer.system.enoent", lang)
    assert told(OSError(errno.ENOSPC, "as the system has it"), lang) == catalog.text("ui.viewer.system.enospc", lang)
    assert told(OSError(errno.EXDEV, "as the system has it"), lang) == "as the system has it"
    assert told(KeyError("x"), lang) == "'x'"
    for part in PARTS:
        assert told(Damaged(f"graph_{part}"), lang)


def test_long_recordings_are_written_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(publisher, "RECORDING_BYTES", 200_000)
    monkeypatch.setattr(publisher, "REMEMBERED_BYTES", 40_000)
    path = tmp_path / "run.asgtrace"
    sender = publisher.Publisher(Hello(title="GPT"), lambda m: None, lambda key, fields: None, path)
    sender.closed.set()
    graph = fake_gpt(1)
    sender.post(Graph(1, graph.columns()))
    nodes, largest = np.arange(len(graph), dtype=np.int32), 0
    for step in range(1000):
        sender.post(Scalars("loss", np.asarray([step]), np.asarray([0.1 * step]), np.asarray([1.0 / (step + 1)])))
        sender.post(Stats(1, step, "value", nodes, np.full((len(nodes), 6), step, np.float32)))
        largest = max(largest, path.stat().st_size)
    sender.finish()
    assert largest < 210_000
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    store = Store()
    kinds = []
    for message in read_recording(path):
        kinds.append(message.kind)
        store.apply(message)
    assert kinds[:2] == ["hello", "graph"]
    assert store.curves["loss"].steps.tolist() == list(range(1000))
    assert store.looks["value", 3][-1].step == 999


def test_what_waits_for_a_frozen_window_is_bounded(monkeypatch):
    monkeypatch.setattr(publisher, "WAITING_BYTES", 100_000)
    sender = publisher.Publisher(Hello(), lambda m: None, lambda key, fields: None, None)
    for step in range(500):
        sender.post(Stats(1, step, "value", np.arange(40, dtype=np.int32), np.zeros((40, 6), np.float32)))
    assert sum(map(len, sender._waiting)) == sender._waiting_bytes <= 100_000
    assert sender.lost + len(sender._waiting) == 500
    sender.hang_up()
    assert not sender._waiting


def test_the_curves_of_another_run_lie_beside_this_ones(tmp_path, window):
    path = tmp_path / "other.asgtrace"
    path.write_bytes(recording(LOSSES * 2))
    window.overlay(path)
    assert window.store.runs["other"]["loss"].values.tolist() == (LOSSES * 2).tolist()
    drawn = [line.series.y for line in window.charts.main.lines.values()]
    assert any(len(y) == len(LOSSES) and np.isclose(y[0], 6.0) for y in drawn)
