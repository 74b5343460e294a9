"""What tests do with a model that is watched."""

import numpy as np

from torchlike_asg.viewer.protocol import Subscribe, read_recording


def messages(path):
    found = {}
    for m in read_recording(path):
        found.setdefault(m.kind, []).append(m)
    return found


def looking_at(handle, *ops):
    """Have the session believe that a window shows these operations; returns their nodes."""
    session = handle._session
    session.publisher.closed.clear()
    graph = session._snapshot
    nodes = [i for i in range(len(graph)) if graph.text("op", i) in ops or graph.text("name", i) in ops]
    session._hear(Subscribe(session.epoch, np.asarray(nodes, np.int32), np.asarray(nodes, np.int32)))
    return nodes
