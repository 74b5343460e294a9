"""What to change where operands do not fit: a key of the catalogue (``ui.viewer.fix``) with fields, and which operands are to blame."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Shape = Sequence[int]


@dataclass(frozen=True)
class Advice:
    """``key`` and what fills it; ``wrong`` the numbers of the operands that do not fit (empty: none more than the others)."""

    key: str
    fields: dict[str, Any] = field(default_factory=dict)
    wrong: tuple[int, ...] = ()


def advice(op: str, shapes: Sequence[Shape], message: str, module: Any = None) -> Advice:
    """For an operation of that name (an operation's, a function's or a module's class) on operands of these shapes, which raised that
    message within `module`."""
    for rule in _RULES:
        found = rule(op, [tuple(s) for s in shapes], message, module)
        if found is not None:
            return found
    return Advice("general")


def _types(op: str, shapes: Any, message: str, module: Any) -> Advice | None:
    if "devices" in message and "same device" in message:
        return Advice("device")
    if "scalar types: Long, Int" in message:
        return Advice("indices", {}, (1,) if op == "embedding" and len(shapes) > 1 else ())
    if "same dtype" in message or "scalar type" in message or re.search(r"dtypes? .* (differ|match)", message):
        return Advice("dtype", {}, (1,) if len(shapes) > 1 else ())
    return None


def _linear(op: str, shapes: Any, message: str, module: Any) -> Advice | None:
    if op != "linear" or len(shapes) < 2 or not shapes[0] or len(shapes[1]) != 2:
        return None
    x, (outputs, expected) = shapes[:2]
    fields = {"got": x[-1], "expected": expected, "outputs": outputs}
    if x[-1] == expected:
        return None
    if len(x) > 2 and math.prod(x[1:]) == expected:
        return Advice("flatten", fields, (0,))
    if type(module).__name__ != "Linear" and x[-1] == outputs:
        return Advice("linear_turned", fields, (1,))
    if len(x) == 2 and x[0] == expected:
        return Advice("linear_input_turned", fields, (0,))
    return Advice("linear", fields, (0,))


def _product(op: str, shapes: Any, message: str, module: Any) -> Advice | None:
    if op not in ("matmul", "mm", "bmm", "mv", "addmm", "baddbmm", "addmv", "dot") or len(shapes) < 2:
        return None
    first = len(shapes) - 2
    a, b = shapes[first:]
    wanted = {"mm": 2, "addmm": 2, "bmm": 3, "baddbmm": 3}.get(op)
    if wanted is not None:
        odd = next((k for k, s in enumerate((a, b)) if len(s) != wanted), None)
        if odd is not None:
            got = len((a, b)[odd])
            return Advice("batch_missing" if got < wanted and wanted == 3 else "mm_dims", {"got": got}, (first + odd,))
    if not a or not b:
        return None
    inner = b[-2] if len(b) > 1 else b[-1]
    fields = {"left": a[-1], "right": inner}
    if a[-1] != inner:
        if len(b) > 1 and a[-1] == b[-1]:
            return Advice("transpose", fields, (first + 1,))
        if len(a) > 1 and a[-2] == inner:
            return Advice("transpose_left", fields, (first,))
        return Advice("vector", fields, (first + 1,)) if len(b) == 1 else Advice("matmul", fields)
    batches = {"left": list(a[:-2]), "right": list(b[:-2])}
    return Advice("matmul_batch", batches, (first + 1,)) if _clash(a[:-2], b[:-2]) else None


def _convolution(op: str, shapes: Any, message: str, module: Any) -> Advice | None:
    if not op.lower().startswith("conv") or len(shapes) < 2 or len(shapes[1]) < 3:
        return None
    x, w = shapes[:2]
    space = len(w) - 2
    missing = space + 2 - len(x)
    if missing > 1:
        return Advice("conv_missing", {"got": len(x), "expected": space + 2, "nones": ", ".join(["None"] * missing)}, (0,))
    if missing < 0:
        return Advice("dims", {"got": len(x), "expected": space + 2}, (0,))
    expected = w[0] if "transpose" in op.lower() else w[1] * int(getattr(module, "groups", 1))
    got = x[-space - 1]
    if got != expected:
        if x[-1] == expected:
            order = [*range(1 - missing), len(x) - 1, *range(1 - missing, len(x) - 1)]
            return Advice("channels_last", {"got": got, "expected": expected, "order": ", ".join(map(str, order))}, (0,))
        return Advice("channels", {"got": got, "expected": expected}, (0,))
    if "Kernel size" in message:
        return Advice("kernel_large", {"size": "×".join(map(str, x[-space:])), "kernel": "×".join(map(str, w[2:]))}, (0,))
    return None


def _reshape(op: str, shapes: Any, message: str, module: Any) -> Advice | None:
    if "view size is not compatible" in message:
        return Advice("contiguous", {}, (0,))
    found = re.search(r"shape '\[([-\d, ]*)\]' is invalid for input of size (\d+)", message)
    if found is None or not shapes:
        return None
    asked, elements, have = [int(n) for n in found[1].split(",") if n.strip()], int(found[2]), shapes[0]
    same = 0
    while same < min(len(asked), len(have)) and asked[same] == have[same]:
        same += 1
    rest, wanted = math.prod(have[same:]), math.prod(asked[same:])
    if -1 in asked:
        return Advice("reshape_divide", {"elements": elements, "size": -math.prod(asked)}, (0,))
    if same and same < len(asked):
        return Advice("reshape_rest", {"kept": list(have[:same]), "rest": rest, "asked": wanted}, (0,))
    return Advice("reshape", {"elements": elements, "asked": math.prod(asked)}, (0,))


def _joined(op: str, shapes: Any, message: str, module: Any) -> Advice | None:
    if op not in ("cat", "concat", "concatenate", "stack", "vstack", "hstack", "dstack") or len(shapes) < 2:
        return None
    (dims, _), *_ = Counter(map(len, shapes)).most_common(1)
    odd = next((k for k, s in enumerate(shapes) if len(s) != dims), None)
    if odd is not None:
        return Advice("cat_dims", {"number": odd + 1, "got": len(shapes[odd]), "expected": dims}, (odd,))
    at = re.search(r"except in dimension (\d+)", message)
    along = int(at[1]) if at else None
    for d in range(dims):
        (usual, _), *_ = Counter(s[d] for s in shapes).most_common(1)
        odd = next((k for k, s in enumerate(shapes) if s[d] != usual), None)
        if odd is not None and d != along:
            return Advice("cat_size", {"number": odd + 1, "dim": d, "got": shapes[odd][d], "expected": usual}, (odd,))
    return Advice("cat")


def _layers(op: str, shapes: Any, message: str, module: Any) -> Advice | None:
    """Layers that were made for another number of features, or for another number of dimensions."""
    for pattern in (
        r"running_(?:mean|var) should contain (?P<got>\d+) elements not (?P<expected>\d+)",
        r"[Ee]xpected (?P<expected>\d+),? got (?P<got>\d+)",
        r"embedding dimension of (?P<expected>\d+), but got (?P<got>\d+)",
        r"expected input with shape \[\*, (?P<expected>[\d, ]+)\], but got input of size ?\[(?:\d+, )*(?P<got>\d+)\]",
    ):
        found = re.search(pattern, message)
        if found is not None:
            return Advice("features", {"expected": found["expected"], "got": found["got"]}, (0,))
    found = re.search(r"[Ee]xpected (?P<expected>\d+D(?: (?:or|and) \d+D)?).*?\(?got (?P<got>\d+)D", message)
    if found is not None:
        return Advice("dims", {"expected": found["expected"], "got": f"{found['got']}D"}, (0,))
    return None


def _losses(op: str, shapes: Any, message: str, module: Any) -> Advice | None:
    found = re.search(r"input batch_size \((\d+)\) to match target batch_size \((\d+)\)", message)
    if found is not None:
        return Advice("batch_size", {"input": int(found[1]), "target": int(found[2])}, (1,))
    if "arget size" in message and len(shapes) > 1 and shapes[0] != shapes[1]:
        x, y = shapes[:2]
        if [n for n in x if n != 1] == [n for n in y if n != 1]:
            return Advice("target_ones", {"input": list(x), "target": list(y), "shape": ", ".join(map(str, x))}, (1,))
        return Advice("target", {"input": list(x), "target": list(y)}, (1,))
    return None


def _attention(op: str, shapes: Any, message: str, module: Any) -> Advice | None:
    if op != "scaled_dot_product_attention" or len(shapes) < 3 or min(map(len, shapes[:3])) < 2:
        return None
    q, k, v = shapes[:3]
    if q[-1] != k[-1]:
        return Advice("attention_width", {"queries": q[-1], "keys": k[-1]}, (1,))
    return Advice("attention_length", {"keys": k[-2], "values": v[-2]}, (2,)) if k[-2] != v[-2] else None


def _others(op: str, shapes: Any, message: str, module: Any) -> Advice | None:
    found = re.search(r"subscript (\w) has size (\d+) for operand (\d+) which does not broadcast with previously seen size (\d+)", message)
    if found is not None:
        return Advice("einsum", {"letter": found[1], "got": int(found[2]), "expected": int(found[4])}, (int(found[3]),))
    if "shape of the mask" in message and len(shapes) > 1:
        return Advice("mask", {"mask": list(shapes[1]), "shape": list(shapes[0])}, (1,))
    if op.startswith(("gather", "scatter")) and "no larger than" in message and len(shapes) > 1:
        return Advice("gather", {"index": list(shapes[1]), "shape": list(shapes[0])}, (1,))
    if op in ("permute", "transpose", "movedim") and shapes and "dimensions" in message:
        return Advice("permute", {"dims": len(shapes[0])}, (0,))
    if op.startswith("expand") and shapes:
        return Advice("expand", {"shape": list(shapes[0])}, (0,))
    return None


def _broadcast(op: str, shapes: Any, message: str, module: Any) -> Advice | None:
    if not re.search(r"broadcast|must match the size|size of tensor", message):
        return None
    for i, a in enumerate(shapes):
        for j, b in enumerate(shapes[i + 1 :], i + 1):
            if not _clash(a, b):
                continue
            small, large = (i, j) if len(a) < len(b) else (j, i)
            for at in range(len(shapes[small]) + 1):
                tried = (*shapes[small][:at], 1, *shapes[small][at:])
                if len(shapes[small]) < len(shapes[large]) and not _clash(tried, shapes[large]):
                    at = at if at < len(shapes[small]) else -1
                    return Advice("unsqueeze", {"shape": list(shapes[small]), "larger": list(shapes[large]), "at": at}, (small,))
            if len(b) > 1 and not _clash(a, (*b[:-2], b[-1], b[-2])):
                return Advice("broadcast_turned", {"left": list(a), "right": list(b)}, (j,))
            k = next(k for k in range(1, 1 + min(len(a), len(b))) if a[-k] != b[-k] and 1 not in (a[-k], b[-k]))
            return Advice("broadcast", {"dim": -k, "left": a[-k], "right": b[-k]})
    return None


def _clash(a: Shape, b: Shape) -> bool:
    """Whether shapes do not broadcast."""
    return any(x != y and 1 not in (x, y) for x, y in zip(reversed(a), reversed(b), strict=False))


_RULES: tuple[Callable[[str, Any, str, Any], Advice | None], ...] = (
    _types, _linear, _product, _convolution, _reshape, _joined, _layers, _losses, _attention, _others, _broadcast,
)  # fmt: skip
