"""Search in a graph: words, and filters such as ``type:linear shape:768 module:attn dtype:float32 nan``. No Qt."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache

from ...i18n import catalog
from ..snapshot import KINDS, PHASES
from .graphs import GraphModel
from .store import Store

#: what can be filtered by, and what can be asked of a node; their names in each language are texts, those in any language are understood
FILTERS = ("op", "shape", "scope", "dtype", "name", "line", "kind", "phase")
FLAGS = ("nan", "output", "grad", "fused", "param", "input")


@cache
def _names(table: str, keys: tuple[str, ...]) -> dict[str, str]:
    """What may be typed -> what it means."""
    return {
        name.strip().lower(): key
        for lang in reversed(catalog.languages())
        for key in keys
        for name in catalog.text(f"ui.viewer.search.{table}.{key}", lang).split(",")
    }


@dataclass
class Query:
    """``filters``: (what, text), all must match;  ``flags`` likewise;  ``words`` must stand in the title, operation, scope or name."""

    words: list[str] = field(default_factory=list)
    filters: list[tuple[str, str]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)


def parse(text: str) -> Query:
    """A query from what was typed; in quotes, blanks are part of a word."""
    query = Query()
    filters, flags = _names("filter", FILTERS), _names("flag", FLAGS)
    for key, quoted, plain in re.findall(r'(?:(\w+):)?(?:"([^"]*)"|(\S+))', text):
        value = (quoted or plain).lower()
        if key and key.lower() in filters:
            query.filters.append((filters[key.lower()], value))
        elif key:
            query.words.append(f"{key}:{value}".lower())
        elif value in flags:
            query.flags.append(flags[value])
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
    g = model.graph
    if flag == "nan":
        return any(look is not None and look.row[4] > 0 for look in (store.look(i), store.look(i, "gradient")))
    if flag in ("param", "input"):
        return KINDS[g.kind[i]] == {"param": "parameter", "input": "input"}[flag]
    return bool({"output": g.output[i], "grad": g.grad[i], "fused": g.kernel[i] >= 0 and not g.stored[i]}[flag])


def _filter(i: int, what: str, value: str, model: GraphModel) -> bool:
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
        kind = KINDS[g.kind[i]]
        return value in kind or value in (catalog.find(f"ui.viewer.kind.{kind}", model.say.lang) or "").lower()
    if what == "phase":
        phase = PHASES[g.phase[i]]
        return value in phase or value in model.say(f"phase.{phase}").lower()
    return value in {"scope": model.scopes, "dtype": model.dtypes, "name": model.names}[what][i].lower()
