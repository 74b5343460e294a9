"""`rnn`, `lstm`, `gru` and their gradients: one dispatch for each time step.

A step is a product of the state before (going back: of the gradient of the step after) with the weights, and then a formula for each
element of the state. Both are one kernel: a workgroup has a few rows of the batch and `UNITS` elements of the state; its invocations divide
the product's sums among them, add up what they found, and then do an element each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...dtypes import float32
from .calls import Dispatch, LibraryNode, Lowering, Source, View, declarations, flat_index, library
from .copies import copy, temporary
from .finish import complete
from .words import Words

#: elements of the state that a workgroup has
UNITS = 8
#: the formulas, by cell and direction: statements over the sums ``s0`` ... and the operands' elements ``{name}_{part}``, whose assignments
#: ``{name}_{part} = `` are stores
_SIGMOID = "fn sigmoid(x: f32) -> f32 { return 1f / (1f + exp(-x)); }\n"
_FORWARD = {
    "tanh": "hidden_0 = k_tanh(x_0 + s0);",
    "relu": "hidden_0 = k_max(x_0 + s0, 0f);",
    "lstm": """let i = sigmoid(x_0 + s0); let f = sigmoid(x_1 + s1); let u = k_tanh(x_2 + s2); let o = sigmoid(x_3 + s3);
let c = f * before_0 + i * u;
cell_0 = c; hidden_0 = o * k_tanh(c); gates_0 = i; gates_1 = f; gates_2 = u; gates_3 = o;""",
    "gru": """let r = sigmoid(x_0 + s0 + b_0); let z = sigmoid(x_1 + s1 + b_1); let m = s2 + b_2; let n = k_tanh(x_2 + r * m);
hidden_0 = (before_0 - n) * z + n; gates_0 = r; gates_1 = z; gates_2 = n; gates_3 = m;""",
}
_BACK = {
    "tanh": "let h = hidden_0; state_0 = (g_0 + s0) * (1f - h * h);",
    "relu": "state_0 = select(0f, g_0 + s0, hidden_0 > 0f);",
    "lstm": """let i = gates_0; let f = gates_1; let u = gates_2; let o = gates_3; let y = k_tanh(cell_0);
let dh = s0 + of_hidden * g_0;
let dc = carried + (1f - of_hidden) * g_0 + dh * o * (1f - y * y);
state_0 = dc * u * i * (1f - i); state_1 = dc * before_0 * f * (1f - f); state_2 = dc * i * (1f - u * u); state_3 = dh * y * o * (1f - o);
carry_0 = dc * f;""",
    "gru": """let r = gates_0; let z = gates_1; let n = gates_2; let m = gates_3;
let dh = carried + s0 + g_0;
let dn = dh * (1f - z) * (1f - n * n);
let dr = dn * m * r * (1f - r); let dz = dh * (before_0 - n) * z * (1f - z);
state_0 = dr; state_1 = dz; state_2 = dn * r; input_0 = dr; input_1 = dz; input_2 = dn;
carry_0 = dh * z;""",
    "sum": "carry_0 = carried + s0;",
}
#: how many parts of the width of the state each operand has
_PARTS = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}
_WORDS = ("batch", "width", "k", "first", "w_at", "w_row", "s_at", "s_row")
Views = dict[str, View]


@library("rnn")
def _rnn(lowering: Lowering, node: LibraryNode) -> bool:
    x, h, w = node.operands
    return _forward(lowering, node, node.attrs[0], node.attrs[1], {"x": x}, h, w, {"hidden": node.result})


@library("lstm", selector=1)
def _lstm(lowering: Lowering, node: LibraryNode) -> bool:
    x, h, c, w = node.operands
    return _forward(lowering, node, "lstm", node.attrs[0], {"x": x, "before": c}, h, w, node.results)


@library("gru", selector=1)
def _gru(lowering: Lowering, node: LibraryNode) -> bool:
    x, h, w, b = node.operands
    return _forward(lowering, node, "gru", node.attrs[0], {"x": x, "before": h, "b": b}, h, w, node.results)


@library("rnn_grad")
def _rnn_grad(lowering: Lowering, node: LibraryNode) -> bool:
    g, w, hidden = node.operands
    return _back(lowering, node, *node.attrs, {"g": g, "hidden": hidden}, w, {"state": node.result})


@library("lstm_grad", selector=2)
def _lstm_grad(lowering: Lowering, node: LibraryNode) -> bool:
    g, c, w, cell, gates = node.operands
    results = {{"input": "state", "cell": "carry"}[part]: view for part, view in node.results.items()}
    operands = {"g": g, "first": c, "cell": cell, "gates": gates}
    return _back(lowering, node, "lstm", node.attrs[0], operands, w, results, of_hidden=node.attrs[1] == "hidden")


@library("gru_grad", selector=1)
def _gru_grad(lowering: Lowering, node: LibraryNode) -> bool:
    g, h, w, hidden, gates = node.operands
    results = {{"hidden": "carry"}.get(part, part): view for part, view in node.results.items()}
    return _back(lowering, node, "gru", node.attrs[0], {"g": g, "first": h, "states": hidden, "gates": gates}, w, results)


def _possible(node: LibraryNode, results: Mapping[str, View]) -> bool:
    return all(v.dtype is float32 and 0 not in v.shape for v in (*node.operands, *results.values()))


def _adjacent(lowering: Lowering, v: View) -> View:
    """The view, or a copy whose rows are adjacent elements."""
    if v.strides[-1] == 1:
        return v
    made = temporary(lowering, v.shape, v.dtype)
    copy(lowering, v, made)
    return made


def _own(lowering: Lowering, results: Views, name: str, shape: tuple[int, ...]) -> View:
    """The result of that name, or memory in its place: if nobody asks for it, or its rows are not adjacent."""
    found = results.get(name)
    return found if found is not None and found.strides[-1] == 1 else temporary(lowering, shape, float32)


def _at(v: View, t: int) -> View:
    """One time step."""
    return replace(v, shape=v.shape[1:], strides=v.strides[1:], offset=v.offset + t * v.strides[0])


def _forward(
    lowering: Lowering, node: LibraryNode, cell: str, reverse: bool, operands: Views, h: View, w: View, results: Views
) -> bool:  # fmt: skip
    if not _possible(node, results):
        return False
    x, (steps, batch), width = operands["x"], operands["x"].shape[:2], w.shape[1]
    held = dict(results)
    held["hidden"] = _own(lowering, results, "hidden", (steps, batch, width))
    if cell == "lstm":
        held["cell"] = _own(lowering, results, "cell", (steps, batch, width))
    h, w = _adjacent(lowering, h), _adjacent(lowering, w)
    state, before = h, operands.get("before")
    for t in reversed(range(steps)) if reverse else range(steps):
        views = {"x": _at(x, t)} | {name: _at(v, t) for name, v in held.items()}
        if before is not None:
            views["before"] = before
        if "b" in operands:
            views["b"] = replace(operands["b"], shape=(batch, _PARTS[cell] * width), strides=(0, operands["b"].strides[0]))
        _step(lowering, node.op, _FORWARD[cell], _PARTS[cell], state, w, views, width, tuple(held))
        state = _at(held["hidden"], t)
        before = _at(held["cell"], t) if cell == "lstm" else state if before is not None else None
    _deliver(lowering, held, results)
    return True


def _back(
    lowering: Lowering, node: LibraryNode, cell: str, reverse: bool, operands: Views, w: View, results: Views, *, of_hidden: bool = True
) -> bool:
    if not _possible(node, results):
        return False
    g, (steps, batch), width, parts = operands["g"], operands["g"].shape[:2], w.shape[1], _PARTS[cell]
    turned = temporary(lowering, w.shape[::-1], w.dtype)  # so that what is summed over is adjacent here too
    copy(lowering, replace(w, shape=w.shape[::-1], strides=w.strides[::-1]), turned)
    held = {"state": _own(lowering, results, "state", (steps, batch, parts * width))}
    if cell in ("lstm", "gru"):
        held["carry"] = temporary(lowering, (batch, width), float32)
    if "input" in results:
        held["input"] = results["input"]
    times = list(reversed(range(steps)) if reverse else range(steps))
    after: View | None = None
    for number, t in reversed(list(enumerate(times))):
        views = {name: v if name == "carry" else _at(v, t) for name, v in held.items()}
        views |= {name: _at(v, t) for name, v in operands.items() if name not in ("first", "states")}
        if "first" in operands:
            views["before"] = _at(operands.get("states", operands.get("cell", g)), times[number - 1]) if number else operands["first"]
        formula = _BACK[cell].replace("of_hidden", f"{float(of_hidden)}f")
        _step(lowering, node.op, formula, 1, after, turned, views, width, tuple(held), rows=views["state"])
        after = views["state"]
    if cell == "gru" and "carry" in results:
        _step(lowering, node.op, _BACK["sum"], 1, after, turned, {"carry": held["carry"]}, width, ("carry",))
    _deliver(lowering, held, results)
    return True


def _deliver(lowering: Lowering, held: Views, results: Views) -> None:
    for name, v in results.items():
        if held[name] is not v:
            copy(lowering, held[name], v)


# ---------------------------------------------------------------- one step
@dataclass(frozen=True)
class _Form:
    formula: str
    gates: int
    names: tuple[str, ...]
    writes: tuple[str, ...]
    four: bool
    lanes: int

    @property
    def rows(self) -> int:
        """Of the batch, in a workgroup."""
        return 8 if self.gates == 1 else 4

    @property
    def threads(self) -> int:
        return UNITS * self.lanes


def _step(
    lowering: Lowering, label: str, formula: str, gates: int, state: View | None, w: View, views: Views, width: int, writes: Sequence[str],
    rows: View | None = None,
) -> None:  # fmt: skip
    """Add one step: `state` (batch, k) times rows of `w`, then the formula over `views` (batch, parts * width). Without a state the sums
    are 0, and what is carried too; `rows` stands in for it.
    """
    source = state if state is not None else rows
    assert source is not None, "a first step says what its state will look like"
    batch, k = source.shape
    four = k % 4 == 0 and not any(s % 4 for s in (source.offset, source.strides[0], w.offset, w.strides[0]))
    most = lowering.caps.max_invocations
    lanes = 32 if k >= 512 and most >= 32 * UNITS else 16 if most >= 16 * UNITS else 8
    f = _Form(formula, gates, tuple(views), tuple(writes), four, lanes)
    words = Words((*_WORDS, *(f"{n}_{x}" for n in f.names for x in ("at", "row", "column"))))
    (s_binding, s_at), (w_binding, w_at) = source.bind(), w.bind()
    values = {
        "batch": batch, "width": width, "k": k if state is not None else 0, "first": int(state is None),
        "w_at": w_at, "w_row": w.strides[0], "s_at": s_at, "s_row": source.strides[0],
    }  # fmt: skip
    bindings = [s_binding, w_binding]
    for name, v in views.items():
        b, values[f"{name}_at"] = v.bind()
        values |= {f"{name}_row": v.strides[0], f"{name}_column": v.strides[1]}
        bindings.append(b)
    groups = -(-batch // f.rows) * -(-width // UNITS)
    key = ("recurrent", formula, gates, f.names, f.writes, four, lanes)
    shader = Source(key, lambda: complete(_text(f, words)), trusted=True)
    slots = tuple(dict.fromkeys(views[n].slot for n in writes))
    flops = 2 * batch * width * gates * values["k"]
    nbytes = 4 * (math.prod(w.shape) + sum(math.prod(v.shape) for v in views.values()))
    lowering.add(Dispatch(shader, tuple(bindings), words.values(values), groups, slots, label, flops, nbytes))


def _text(f: _Form, w: Words) -> str:
    kind = "vec4<f32>" if f.four else "f32"
    own = [(g, r) for g in range(f.gates) for r in range(f.rows)]
    scale = " / 4u" if f.four else ""
    by = 4 if f.four else 1
    lines = [f"let row{r} = {w['s_at']} + min(row_first + {r}u, {w['batch']} - 1u) * {w['s_row']};" for r in range(f.rows)]
    unit = f"min(unit_first + x, {w['width']} - 1u)"
    lines += [f"let unit{g} = {w['w_at']} + ({g}u * {w['width']} + {unit}) * {w['w_row']};" for g in range(f.gates)]
    lines += [f"var c{g}_{r} = 0f;" for g, r in own]
    lines.append(f"for (var k = lane * {by}u; k < {w['k']}; k += {f.lanes * by}u) {{")
    lines += [f"let left{r} = m0[(row{r} + k){scale}];" for r in range(f.rows)]
    lines += [f"let right{g} = m1[(unit{g} + k){scale}];" for g in range(f.gates)]
    lines += [f"c{g}_{r} += {f'dot(left{r}, right{g})' if f.four else f'left{r} * right{g}'};" for g, r in own]
    lines.append("}")
    lines += [f"found[(({g * f.rows + r}u) * {f.lanes}u + lane) * {UNITS}u + x] = c{g}_{r};" for g, r in own]
    sums = "\n".join(
        f"var s{g} = 0f;\nfor (var l = 0u; l < {f.lanes}u; l++) {{ s{g} += found[(({g * f.rows}u + r) * {f.lanes}u + l) * {UNITS}u + u]; }}"
        for g in range(f.gates)
    )
    carried = ""
    if "carry" in f.names:
        memory = f"m{2 + f.names.index('carry')}[{_place('carry', 0, w)}]"
        carried = f"let carried = select({memory}, 0f, {w['first']} != 0u);\n"
    return f"""{declarations([kind, kind, *["f32"] * len(f.names)], len(w))}
{_SIGMOID}
var<workgroup> found: array<f32, {f.gates * f.rows * f.lanes * UNITS}>;
@compute @workgroup_size({f.threads}) fn main(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) t: u32) {{
let flat = {flat_index()};
let blocks = ({w["width"]} + {UNITS - 1}u) / {UNITS}u;
let row_first = (flat / blocks) * {f.rows}u;
let unit_first = (flat % blocks) * {UNITS}u;
if (row_first >= {w["batch"]}) {{ return; }}
let lane = t % {f.lanes}u;
let x = t / {f.lanes}u;
{chr(10).join(lines)}
workgroupBarrier();
for (var e = t; e < {f.rows * UNITS}u; e += {f.threads}u) {{
let r = e / {UNITS}u;
let u = e % {UNITS}u;
let row = row_first + r;
let unit = unit_first + u;
if (row < {w["batch"]} && unit < {w["width"]}) {{
{sums}
{carried}{_formula(f, w)}
}}
}}
}}
"""


def _place(name: str, part: int, w: Words) -> str:
    return f"{w[f'{name}_at']} + row * {w[f'{name}_row']} + (unit + {part}u * {w['width']}) * {w[f'{name}_column']}"


def _formula(f: _Form, w: Words) -> str:
    """The formula with loads and stores in place of the operands' names; stores to operands that are not there are left out."""
    loads, lines = [], []
    for statement in (s.strip() for s in f.formula.replace("\n", " ").split(";")):
        name, equals, value = statement.partition(" = ")
        operand, _, part = name.rpartition("_")
        if equals and operand and part.isdigit() and not name.startswith("let "):
            if operand in f.writes:
                n = 2 + f.names.index(operand)
                lines.append(f"m{n}[{_place(operand, int(part), w)}] = {value};")
        elif statement:
            lines.append(statement + ";")
    for n, name in enumerate(f.names):
        for part in range(4):
            if name not in f.writes and any(f"{name}_{part}" in line for line in lines):
                loads.append(f"let {name}_{part} = m{2 + n}[{_place(name, part, w)}];")
    return "\n".join([*loads, *lines])
