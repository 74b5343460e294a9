"""Search in a graph: words, and filters such as ``type:linear shape:768 module:attn dtype:float32 nan``. No Qt."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .graphs import GraphModel
from .store import Store

#: filters by name, with the names that people try
FILTERS = {
    "type": "op",
    "op": "op",
    "тип": "op",
    "shape": "shape",
    "форма": "shape",
    "module": "scope",
    "in": "scope",
    "модуль": "scope",
    "dtype": "dtype",
    "name": "name",
    "имя": "name",
    "line": "line",
    "kind": "kind",
    "phase": "phase",
}
FLAGS = ("nan", "output", "grad", "fused", "param", "input")


@dataclass
class Query:
    """``filters``: (what, text), all must match;  ``flags`` likewise;  ``words`` must stand in the title, operation, scope or name."""

    words: list[str] = field(default_factory=list)
    filters: list[tuple[str, str]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)


def parse(text: str) -> Query:
    """A query from what was typed; in quotes, blanks are part of a word."""
    query = Query()
    for key, quoted, plain in re.findall(r'(?:(\w+):)?(?:"([^"]*)"|(\S+))', text):
        value = (quoted or plain).lower()
        if key and key.lower() in FILTERS:
            query.filters.append((FILTERS[key.lower()], value))
        elif key:
            query.words.append(f"{key}:{value}".lower())
        elif value in FLAGS:
            query.flags.append(value)
        elif value:
            query.words.append(value)
    return query


def find(text: str, model: GraphModel, store: Store) -> list[int]:
    """The nodes that match, in order of execution."""
    query = parse(text)
    if not (query.words or query.filters or query.flags):
        return []
    return [i for i in range(len(model.graph)) if _matches(i, query, model, store)]


def _matches(i: int, query: Query, model: GraphModel, store: Store) -> bool:
    for flag in query.flags:
        if not _flag(i, flag, model, store):
            return False
    for what, value in query.filters:
        if not _filter(i, what, value, model):
            return False
    if not query.words:
        return True
    text = " ".join((model.title(i), model.ops[i], model.scopes[i], model.names[i], model.graph.modules.get(model.scopes[i], ""))).lower()
    return all(word in text for word in query.words)


def _flag(i: int, flag: str, model: GraphModel, store: Store) -> bool:
    from ..snapshot import KINDS

    g = model.graph
    if flag == "nan":
        return any(look is not None and look.row[4] > 0 for look in (store.look(i), store.look(i, "gradient")))
    if flag in ("param", "input"):
        return KINDS[g.kind[i]] == {"param": "parameter", "input": "input"}[flag]
    return bool({"output": g.output[i], "grad": g.grad[i], "fused": g.kernel[i] >= 0 and not g.stored[i]}[flag])


def _filter(i: int, what: str, value: str, model: GraphModel) -> bool:
    from ..snapshot import KINDS, PHASES

    g = model.graph
    if what == "op":
        kind = g.modules.get(model.scopes[i], "").lower()
        return value in model.ops[i].lower() or value in kind or value in model.title(i).lower()
    if what == "shape":
        wanted = [s for s in re.split(r"[×x,*]", value) if s]
        shape = [str(s) for s in model.shapes[i]]
        return any(shape[k : k + len(wanted)] == wanted for k in range(len(shape) - len(wanted) + 1)) if wanted else False
    if what == "line":
        return str(int(g.line[i])) == value
    if what == "kind":
        return value in KINDS[g.kind[i]]
    if what == "phase":
        return value in PHASES[g.phase[i]]
    return value in {"scope": model.scopes, "dtype": model.dtypes, "name": model.names}[what][i].lower()
