"""What tests do with a model that is watched."""

import contextlib

import numpy as np
import pytest

from torchlike_asg.viewer import attach
from torchlike_asg.viewer.protocol import Subscribe, read_recording

from .models import train


def messages(path):
    found = {}
    for m in read_recording(path):
        found.setdefault(m.kind, []).append(m)
    return found


def graph_after(model, steps):
    """What is known of a model's graph after so many steps of a plain training loop."""
    handle = attach(model, window=False)
    train(model, steps)
    handle._settle()
    found = handle._session._snapshot
    handle.detach()
    return found


@contextlib.contextmanager
def recorded_failure(model, path):
    """What is done here with the model fails, and is recorded in that file."""
    handle = attach(model, window=False, record=path)
    with pytest.raises(RuntimeError):
        yield
    handle.detach()


def looking_at(handle, *ops):
    """Have the session believe that a window shows these operations; returns their nodes."""
    session = handle._session
    session.publisher.closed.clear()
    graph = session._snapshot
    nodes = [i for i in range(len(graph)) if graph.text("op", i) in ops or graph.text("name", i) in ops]
    session._hear(Subscribe(session.epoch, np.asarray(nodes, np.int32), np.asarray(nodes, np.int32)))
    return nodes
