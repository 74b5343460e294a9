"""``torch.Stream`` and ``torch.Event`` on the CPU, compared with PyTorch."""

import pytest

from tests.facade.compare import same

torch = pytest.importorskip("torch")
CALLS = {
    "events": lambda T: [
        repr(T.Event()),
        repr(T.Event("cpu")),
        repr(T.Event(enable_timing=True)),
        str(T.Event().device),
        T.Event().event_id,
    ],
    "streams": lambda T: [repr(T.Stream()), repr(T.Stream(device="cpu", priority=-1)), T.Stream().stream_id, T.Stream().device_index],
    "on the meta device": lambda T: [repr(T.Event(device="meta")), repr(T.Stream("meta"))],
    "waiting": lambda T: [
        T.Event().query(),
        T.Event().wait(),
        T.Event().synchronize(),
        T.Stream().query(),
        T.Stream().wait_event(T.Event()),
    ],
    "comparing": lambda T: [T.Stream() == T.Stream(), hash(T.Stream()) == hash(T.Stream()), T.Event() == T.Event()],
    "an event of CUDA": lambda T: T.Event(device="cuda"),
    "a stream of CUDA": lambda T: T.Stream("cuda"),
    "recording": lambda T: T.Event().record(),
    "recording in a stream": lambda T: T.Stream().record_event(),
    "waiting for a stream": lambda T: T.Stream().wait_stream(T.Stream()),
    "times": lambda T: T.Event(enable_timing=True).elapsed_time(T.Event(enable_timing=True)),
    "unknown keywords": lambda T: T.Stream(foo=1),
    "events of CUDA": lambda T: T.cuda.Event(enable_timing=True),
}


@pytest.mark.parametrize("run", CALLS.values(), ids=CALLS)
def test_streams_and_events(run):
    same(run)


def test_work_inside_a_stream():
    def run(T):
        with T.Stream() as s:
            x = T.ones(2) + 1
        s.synchronize()
        return [x, isinstance(s, T.Stream)]

    same(run)
