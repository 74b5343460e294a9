"""The text of a loop kernel's shader."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .... import dtypes
from ....compiler.kernel import Apply, Const, Convert, Index, Load, Random, Reduce
from ....dtypes import dtype
from ..calls import declarations, element, flat_index, word
from ..handler import Block, Handler, Value, constant, convert, from_memory, integer, register_type, to_memory, wrapped
from ..source import failed
from ..wgslmath import definitions, used
from .form import GROUP, Form
from .joined import Joined

_LOWEST, _HIGHEST = integer(-(2**31)), integer(2**31 - 1)
_ENTRY = """@compute @workgroup_size({size}) fn main(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{
"""


class Renderer:
    """Writes the shader of one form. The form's words are numbered as the text asks for them."""

    def __init__(self, form: Form, joined: Joined | None = None, checks: bool = False) -> None:
        """`joined`: how several kernels of this form are one dispatch; `checks`: what formulas require of data is looked at."""
        self.form, self.k, self.joined, self._checks = form, form.k, joined, checks
        #: the operation that checks its data, and whether they are floating-point numbers
        self.checked: tuple[str, bool] | None = None
        self._group = flat_index() if joined is None else joined.GROUP
        self.b = Block()
        self.values: dict[int, Value] = {}
        #: for each element that a lane keeps: what is known of it, and its place along the inner dimensions
        self._reads = 0
        self.elements: list[tuple[dict[int, Value], dict[int, str]]] = []

    def text(self) -> str:
        self._reducing() if self.form.reduces else self._plain()
        k, form = self.k, self.form
        body = "\n    ".join(self.b.lines)
        types: list[str] = []
        for n in range(len(k.operands)):
            if form.binding[n] == len(types):
                types.append(self.type(n))
        if self.checked is not None:
            types.append("u32")
        joined = self.joined
        begin = "" if joined is None else joined.begin
        kinds = sorted({self._shared(n) for n in self._totals()})
        shared = "".join(f"var<workgroup> shared_{t}: array<{t}, {form.group}>;\n" for t in kinds)
        head = (declarations(types, len(form.words)) if joined is None else joined.declarations(types)) + shared
        return head + definitions(used(body)) + _ENTRY.format(size=form.group if form.reduces else GROUP) + begin + "    " + body + "\n}\n"

    # ---------------------------------------------------------------- numbers
    def _number(self, name: tuple[Any, ...], value: int) -> str:
        found = self.form.number(name, value)
        return found if isinstance(found, str) else self._numbered_word(found)

    def _word(self, *name: Any, type_: str = "u32") -> str:
        return self._numbered_word(self.form.word(name), type_)

    def _numbered_word(self, k: int, type_: str = "u32") -> str:
        return word(k, type_) if self.joined is None else self.joined.word(k, type_)

    def _size(self, d: int, scale: int = 1) -> str:
        return self._number(("size", d, scale), self.k.sizes[d] // scale)

    def _read(self, operand: int, at: str) -> str:
        """An element of an operand as it lies in memory."""
        b = self.form.binding[operand]
        return f"m{b}[{at}]" if self.joined is None else self.joined.read(b, at)

    def _write(self, operand: int, at: str, value: str) -> str:
        """The statement that stores an element."""
        b = self.form.binding[operand]
        return f"m{b}[{at}] = {value};" if self.joined is None else self.joined.write(b, at, value)

    def type(self, operand: int) -> str:
        """How an operand is bound."""
        t = element(self.k.operands[operand].dtype)
        return f"vec4<{t}>" if self._vector(operand) else t

    def _vector(self, operand: int) -> bool:
        """Whether an operand is read and written by four elements."""
        o = self.k.operands[operand]
        return self.form.vector > 1 and o.strides[-1] == 1

    def _place(self, flat: str, dims: Sequence[int], prefix: str, scale: int = 1) -> dict[int, str]:
        """The index along each dimension of a flat number, the last dimension fastest (and counted in units of `scale`)."""
        found: dict[int, str] = {}
        rest = flat
        for d in reversed(dims[1:]):
            size = self._size(d, scale if d == dims[-1] else 1)
            self.b.add(f"let {prefix}{d} = {rest} % {size};")
            self.b.add(f"let {prefix}rest{d} = {rest} / {size};")
            found[d], rest = f"{prefix}{d}", f"{prefix}rest{d}"
        if dims:
            found[dims[0]] = rest
        return found

    def _moved(self, start: str, name: tuple[Any, ...], strides: Sequence[int], place: dict[int, str], scale: int = 1) -> str:
        """A start plus the way along the dimensions of a place."""
        out = start
        for d, index in place.items():
            step = strides[d]
            if step == 0:
                continue
            if scale > 1 and d == len(strides) - 1:
                step = step * self.form.vector  # the last dimension is counted in fours
            step = step // scale
            out += f" + {index}" if step == 1 else f" + {index} * {self._number((*name, d, scale), step)}"
        return out

    # ---------------------------------------------------------------- without reductions
    def _plain(self) -> None:
        self.b.add(f"let flat = {self._group} * {GROUP}u + lane;")
        self.b.add(f"if (flat >= {self._word('count')}) {{ return; }}")
        self._points(self._place("flat", range(len(self.k.sizes)), "i", self.form.vector))

    def _points(self, place: dict[int, str], result: int = -1) -> None:
        """The point at a place, or four neighbours. Operand `result` is not loaded: ``value`` is what it holds there."""
        b, k, form = self.b, self.k, self.form
        last = len(k.sizes) - 1
        for n, o in enumerate(k.operands):
            if n == result and not any(n == stored for stored, _ in k.stores):
                continue
            scale = form.vector if self._vector(n) else 1
            strides = o.strides if scale > 1 or form.vector == 1 else (*o.strides[:-1], o.strides[-1] * form.vector)
            b.add(f"let a{n} = {self._moved(self._word('offset', n), ('stride', n), strides, place, scale)};")
        loaded: dict[int, str] = {}
        results: dict[int, list[Value]] = {s: [] for s in range(len(k.stores))}
        for c in range(form.vector):
            self.values = {}
            for n in form.used:
                i = k.body[n]
                if isinstance(i, Load) and i.operand == result:
                    self.values[n] = Value("value" if form.vector == 1 else f"value.{'xyzw'[c]}", i.dtype)
                elif isinstance(i, Load) and self._vector(i.operand):
                    if i.operand not in loaded:
                        b.add(f"let whole{i.operand} = {self._read(i.operand, f'a{i.operand}')};")
                        loaded[i.operand] = f"whole{i.operand}"
                    self.values[n] = from_memory(b, f"{loaded[i.operand]}.{'xyzw'[c]}", i.dtype)
                elif isinstance(i, Load):
                    step = k.operands[i.operand].strides[last] if c else 0
                    at = f"a{i.operand}" if not step else f"a{i.operand} + {c}u * {self._number(('stride', i.operand, last, 1), step)}"
                    self.values[n] = from_memory(b, self._read(i.operand, at), i.dtype)
                elif isinstance(i, (Index, Random)):
                    strides = (*i.strides[:-1], i.strides[-1] * form.vector) if k.sizes else i.strides
                    start = self._moved(self._word("index", n), ("index stride", n), strides, place)
                    if c and i.strides[last]:
                        start += f" + {c}u * {self._number(('index stride', n, last, 0), i.strides[last])}"
                    self.values[n] = self._numbered(i, start)
                else:
                    self.values[n] = self._compute(n, self.values)
            for s, (_, v) in enumerate(k.stores):
                results[s].append(self.values[v])
        for s, (o, _) in enumerate(k.stores):
            found = [to_memory(v) for v in results[s]]
            if self._vector(o):
                b.add(self._write(o, f"a{o}", f"vec4<{element(k.operands[o].dtype)}>({', '.join(found)})"))
                continue
            for c, v in enumerate(found):
                step = k.operands[o].strides[last] if c else 0
                at = f"a{o}" if not step else f"a{o} + {c}u * {self._number(('stride', o, last, 1), step)}"
                b.add(self._write(o, at, v))

    # ---------------------------------------------------------------- values
    def _numbered(self, i: Index | Random, number: str) -> Value:
        """The number of a point, or what the counter-based stream has there."""
        if isinstance(i, Index):
            return self.b.let(f"bitcast<i32>({number})", i.dtype)
        key, block = (f"bitcast<vec2<u32>>(vec2<i32>({self._read(m, '0')}, {self._read(m, '1')}))" for m in (i.key, i.block))
        return self.b.let(f"k_random({key}, {block}, {number})", i.dtype)

    def _compute(self, n: int, values: dict[int, Value]) -> Value:
        b, i = self.b, self.k.body[n]
        if isinstance(i, Const):
            if self.form.word_constant(n):
                return b.let(self._word("const", n, type_="f32"), i.dtype)
            return constant(i.value, i.dtype)
        if isinstance(i, Convert):
            return convert(b, values[i.arg], i.dtype)
        assert isinstance(i, Apply)
        h = Handler(b, i.compute, functools.partial(self._check, i.op) if self._checks else None)
        args = [v if v.boolean else convert(b, v, i.compute) for v in (values[a] for a in i.args)]
        out = i.formula(h, *args, *i.attrs)
        if out.dtype is i.dtype:
            return out if i.dtype.is_floating_point and i.dtype is dtypes.float32 else wrapped(b, out)
        return convert(b, out, i.dtype)

    def _check(self, op: str, c: Value, x: Value) -> None:
        if self.checked is None:
            self.checked = op, x.floating
        if self.checked == (op, x.floating):
            self.b.add(failed(f"m{len(set(self.form.binding))}", c.text, self._word("check"), x.text))

    # ---------------------------------------------------------------- reductions
    def _totals(self) -> list[int]:
        return [n for p in self.form.passes for n in p.reduces] if self.form.lanes > 1 else []

    def _shared(self, n: int) -> str:
        return self._shared_of(self.k.body[n])

    def _shared_of(self, i: Any) -> str:
        return "u32" if i.dtype is dtypes.bool_ else register_type(i.dtype)

    def _reducing(self) -> None:
        b, k, form = self.b, self.k, self.form
        lanes, rows = form.lanes, form.rows
        if form.column:
            row, t = ("lane", "0u") if lanes == 1 else (f"lane % {rows}u", f"lane / {rows}u")
        else:
            row, t = (f"lane / {lanes}u", f"lane % {lanes}u") if lanes > 1 else ("lane", "0u")
        b.add(f"let number = {self._group} * {rows}u + {row};")
        b.add(f"let inside = number < {self._word('rows')};")
        b.add(f"let row = select({self._word('rows')} - 1u, number, inside);")
        b.add(f"let t = {t};")
        outer = self._place("row", range(k.outer), "o")
        for n, o in enumerate(k.operands):
            b.add(f"let a{n} = {self._moved(self._word('offset', n), ('stride', n), o.strides, outer)};")
        for n in form.used:
            i = k.body[n]
            if isinstance(i, (Index, Random)):
                b.add(f"let n{n} = {self._moved(self._word('index', n), ('index stride', n), i.strides, outer)};")
        if form.parts:
            b.add(f"let first = {outer[0]} * {self._word('part')};")
            b.add(f"let end = min({self._word('length')}, first + {self._word('part')});")
        else:
            b.add(f"let end = {self._word('length')};")
        self._row_values(0)
        for number, p in enumerate(form.passes):
            self._pass(number, p.reduces, p.stores, p.values)
            self._row_values(number + 1)
        for o, v in k.stores:
            if not form.full(o):
                if (v not in self.values) and isinstance(k.body[v], Const):
                    self.values[v] = self._compute(v, self.values)
                b.add(f"if (inside && t == 0u) {{ {self._write(o, f'a{o}', to_memory(self.values[v]))} }}")

    def _row_values(self, stage: int) -> None:
        k, form = self.k, self.form
        for n in form.used:
            i = k.body[n]
            if not form.row[n] or form.stage[n] != stage or isinstance(i, Reduce):
                continue
            if isinstance(i, Load):
                self.values[n] = from_memory(self.b, self._read(i.operand, f"a{i.operand}"), i.dtype)
            elif isinstance(i, (Index, Random)):
                self.values[n] = self._numbered(i, f"n{n}")
            else:
                self.values[n] = self._compute(n, self.values)

    def _pass(self, number: int, reduces: list[int], stores: list[int], needed: list[int]) -> None:
        form, outside = self.form, self.b
        for n in reduces:
            outside.add(f"var acc{n} = {self._identity(n)};")
        if form.cached:
            for e in range(form.cached):
                ok = "" if form.even else f"ok{e}"
                if number == 0:
                    outside.add(f"let e{e} = t + {e * form.lanes}u;")
                    if ok:
                        outside.add(f"let {ok} = e{e} < end;")
                    index = f"min(e{e}, end - 1u)" if ok else f"e{e}"
                    self.elements.append(({}, self._place(index, self._inner, f"j{e}_")))
                self._element(*self.elements[e], ok, reduces, stores, needed)
        else:
            begin = "first + t" if form.parts else "t"
            outside.add(f"for (var i = {begin}; i < end; i += {form.lanes * form.unrolled}u) {{")
            for u in range(form.unrolled):
                self.b = Block(f"p{number}_{u}_")
                ok = f"ok{u}" if u else ""
                if ok:
                    self.b.add(f"let {ok} = i + {u * form.lanes}u < end;")
                index = f"min(i + {u * form.lanes}u, end - 1u)" if ok else "i"
                self._element({}, self._place(index, self._inner, f"j{u}_"), ok, reduces, stores, needed)
                outside.lines += ["    " + line for line in self.b.lines]
            self.b = outside
            outside.add("}")
        for n in reduces:
            self._total(n)

    @property
    def _inner(self) -> range:
        return range(self.k.outer, len(self.k.sizes))

    def _element(
        self, known: dict[int, Value], place: dict[int, str], ok: str, reduces: list[int], stores: list[int], needed: list[int]
    ) -> None:
        """One point of the row: what a pass needs of it and does not know yet. `ok`: a name that says whether it exists; "" = it does."""
        b, k = self.b, self.k
        values = {**self.values, **known}
        for n in needed:
            if n in known:
                continue
            i = k.body[n]
            if isinstance(i, Load):
                o = k.operands[i.operand]
                at = self._moved(f"a{i.operand}", ("stride", i.operand), o.strides, place)
                values[n] = from_memory(b, self._read(i.operand, at), i.dtype)
            elif isinstance(i, (Index, Random)):
                values[n] = self._numbered(i, self._moved(f"n{n}", ("index stride", n), i.strides, place))
            else:
                values[n] = self._compute(n, values)
            known[n] = values[n]
        for n in reduces:
            i = k.body[n]
            assert isinstance(i, Reduce)
            value = values[i.arg].text
            b.add(f"acc{n} = {self._combined(i, f'acc{n}', f'select({self._identity(n)}, {value}, {ok})' if ok else value)};")
        for s in stores:
            o, v = k.stores[s]
            at = self._moved(f"a{o}", ("stride", o), k.operands[o].strides, place)
            b.add(f"if ({f'inside && {ok}' if ok else 'inside'}) {{ {self._write(o, at, to_memory(values[v]))} }}")

    def _total(self, n: int) -> None:
        """The lanes' results combined; every lane gets the total."""
        b, form, i = self.b, self.form, self.k.body[n]
        assert isinstance(i, Reduce)
        lanes, apart = form.lanes, form.rows if form.column else 1
        result = f"acc{n}"
        if lanes > 1:
            boolean = i.dtype is dtypes.bool_
            memory = f"shared_{self._shared(n)}"
            put = (lambda v: f"select(0u, 1u, {v})") if boolean else (lambda v: v)
            get = (lambda at: f"({memory}[{at}] != 0u)") if boolean else (lambda at: f"{memory}[{at}]")
            if form.subgroup:
                self.values[n] = wrapped(b, self._exchanged(i, result, put, get))
                return
            b.add(f"{memory}[lane] = {put(result)};")
            b.add("workgroupBarrier();")
            step = lanes // 2
            while step:
                combined = self._combined(i, get("lane"), get(f"lane + {step * apart}u"))
                b.add(f"if (t < {step}u) {{ {memory}[lane] = {put(combined)}; }}")
                b.add("workgroupBarrier();")
                step //= 2
            result = get(f"lane - t * {apart}u" if apart > 1 else "lane - t")
        total = b.let(result, i.dtype) if lanes == 1 else self._once(result, i.dtype)
        self.values[n] = wrapped(b, total)

    def _exchanged(self, i: Reduce, result: str, put: Callable[[str], str], get: Callable[[str], str]) -> Value:
        """The same by exchange within subgroups; where a row has more lanes, each subgroup's total goes through shared memory."""
        b, lanes, size = self.b, self.form.lanes, self.form.subgroup
        boolean = i.dtype is dtypes.bool_
        step = size // 2
        while step:
            self._reads += 1
            other = f"other{self._reads}"  # has a name, so that all lanes take part whatever theirs is
            b.add(f"let {other} = subgroupShuffleXor({put(result)}, {step}u);")
            b.add(f"{result} = {self._combined(i, result, f'({other} != 0u)' if boolean else other)};")
            step //= 2
        if lanes == size:
            return Value(result, i.dtype)
        memory = f"shared_{self._shared_of(i)}"
        b.add(f"if (t % {size}u == 0u) {{ {memory}[lane / {size}u] = {put(result)}; }}")
        b.add("workgroupBarrier();")
        for p in range(lanes // size):
            one = get(f"(lane - t) / {size}u + {p}u")
            b.add(f"{result} = {self._combined(i, result, one) if p else one};")
        b.add("workgroupBarrier();")  # the next total goes there when all lanes have read this one
        return Value(result, i.dtype)

    def _once(self, text: str, d: dtype) -> Value:
        """What lies in shared memory now; the next total goes there when all lanes have read it."""
        self._reads += 1
        name = f"total{self._reads}"
        self.b.add(f"let {name} = {text};")
        self.b.add("workgroupBarrier();")
        return Value(name, d)

    def _identity(self, n: int) -> str:
        i = self.k.body[n]
        assert isinstance(i, Reduce)
        real = i.dtype.is_floating_point
        if i.kind in ("any", "all") or i.dtype is dtypes.bool_:
            return "true" if i.kind in ("all", "min", "prod") else "false"
        if i.kind in ("max", "min"):
            low = i.kind == "max"
            return ("-k_inf()" if low else "k_inf()") if real else (_LOWEST if low else _HIGHEST)
        return ("1" if i.kind == "prod" else "0") + ("f" if real else "")

    def _combined(self, i: Reduce, a: str, b: str) -> str:
        real = i.dtype.is_floating_point
        if i.dtype is dtypes.bool_:
            return f"({a} {'&&' if i.kind in ('all', 'min', 'prod') else '||'} {b})"
        if i.kind in ("max", "min"):
            return f"{'k_' if real else ''}{i.kind}({a}, {b})"
        return f"({a} {'+' if i.kind == 'sum' else '*'} {b})"
