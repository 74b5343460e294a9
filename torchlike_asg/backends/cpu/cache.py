"""Compiled code by source: everything in this process is compiled once."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ... import events
from . import jit
from .calls import Source
from .emit import Module

#: symbol -> address of every function compiled or loaded by this process
_loaded: dict[str, int] = {}


def compile_sources(sources: Iterable[Source]) -> dict[str, int]:
    """The addresses of the sources' entry points by symbol."""
    wanted = {s.symbol: s for s in sources}
    missing = {name: s for name, s in wanted.items() if name not in _loaded}
    if missing:
        start = time.perf_counter()
        objects = []
        for name, source in missing.items():
            module = Module()
            source.write(module, name)
            objects.append(jit.compile_object(module.text()))
        _loaded.update(jit.load_objects(objects, missing))
        if events.wanted(events.KernelCompiled):
            for name in missing:
                events.publish(events.KernelCompiled(name, (time.perf_counter() - start) / len(missing)))
    return {name: _loaded[name] for name in wanted}
