"""Messages survive the way there and back; anything else is refused, and nothing is ever executed."""

import dataclasses
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchlike_asg.viewer.protocol import (
    MAGIC,
    Alarm,
    Bye,
    Code,
    Event,
    Failure,
    Graph,
    Hello,
    ProtocolError,
    Scalars,
    Stats,
    Subscribe,
    Timing,
    decode,
    decode_all,
    encode,
    read_recording,
    write_frame,
)
from torchlike_asg.viewer.snapshot import GraphSnapshot

from .models import fake_gpt

MESSAGES = [
    Hello(title="Модель", lang="ru"),
    Graph(3, fake_gpt(2).columns()),
    Scalars("loss", np.arange(3), np.linspace(0, 1, 3), np.asarray([1.0, np.nan, np.inf])),
    Stats(
        1, 7, "value", np.asarray([4, 5], np.int32), np.ones((2, 6), np.float32), np.ones((2, 32), np.uint32), np.zeros((2, 2), np.float32)
    ),
    Timing(1, 7, np.asarray([0], np.int32), np.asarray([3.5], np.float32)),
    Event(4, 0.5, "lr ÷ 10"),
    Alarm(1, 9, 3, "nan", 5, 100),
    Failure(2, 8, [1, 2], "matmul", "no", "Net", [[2, 3], [4]], "a.py", 3, "x @ y", "matmul", {"left": 3}),
    Subscribe(1, np.asarray([1, 2], np.int32), np.zeros(0, np.int32)),
    Code(1, 2, "LLVM IR", "define void @f()"),
    Bye("error"),
]


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.kind)
def test_every_message_survives(message):
    back = decode(encode(message))
    assert type(back) is type(message)
    for f in dataclasses.fields(message):
        assert same(getattr(message, f.name), getattr(back, f.name)), f.name


@given(st.binary(max_size=300))
def test_other_bytes_are_refused(data):
    with pytest.raises(ProtocolError):
        decode(b"ASGX" + data)
    with pytest.raises(ProtocolError):
        decode(data[:3])


@pytest.mark.parametrize("cut", [5, 40, -1, -9])
def test_frames_that_were_cut_off_are_refused(cut):
    with pytest.raises(ProtocolError):
        decode(encode(MESSAGES[3])[:cut])


def test_a_message_of_a_later_version_is_passed_over():
    frame = encode(Event(1, 2.0, "x"))
    assert decode(frame.replace(b'"kind":"event"', b'"kind":"other"')) is None
    back = decode(frame.replace(b'"text":"x"', b'"next":"x"'))
    assert back == Event(1, 2.0, "")


def test_objects_are_not_sent():
    with pytest.raises(ProtocolError, match="not sent"):
        encode(Scalars("loss", np.asarray([object()])))
    forged = encode(Scalars("x", np.arange(2))).replace(b'"<i8"', b'"|O8"')
    with pytest.raises(ProtocolError):
        decode(forged)


def test_recordings_lose_at_most_the_frame_being_written(tmp_path):
    path = tmp_path / "run.asgtrace"
    buffer = io.BytesIO()
    buffer.write(MAGIC)
    for m in MESSAGES:
        write_frame(buffer, encode(m))
    path.write_bytes(buffer.getvalue())
    assert [m.kind for m in read_recording(path)] == [m.kind for m in MESSAGES]
    path.write_bytes(buffer.getvalue()[:-3])
    assert [m.kind for m in read_recording(path)] == [m.kind for m in MESSAGES[:-1]]
    path.write_bytes(b"\x80\x04N.")
    with pytest.raises(ProtocolError, match="not a recording"):
        list(read_recording(path))


def test_damaged_graphs_are_refused():
    columns = fake_gpt(1).columns()
    assert len(GraphSnapshot.from_columns(columns)) == len(columns["op"])
    with pytest.raises(ValueError, match="damaged"):
        GraphSnapshot.from_columns(columns | {"dst": columns["dst"] + 1000})
    with pytest.raises(ValueError, match="damaged"):
        GraphSnapshot.from_columns(columns | {"op": columns["op"] + 1000})


def test_frames_may_come_as_one_packet():
    messages = [Event(1, 2.0, "x"), Scalars("loss", np.asarray([3]), np.asarray([0.5]), np.asarray([1.5])), Event(4, 5.0, "Ж")]
    packet = b"".join(map(encode, messages))
    found = decode_all(packet)
    assert [m.kind for m in found] == ["event", "scalars", "event"]
    assert (found[1].steps.tolist(), found[1].values.tolist(), found[2].text) == ([3], [1.5], "Ж")
    assert decode_all(b"") == []
    with pytest.raises(ProtocolError, match="cut"):
        decode_all(packet[:-8])
