"""Pieces of WGSL that every shader uses: declarations of operands and words, and the number of a workgroup."""

from __future__ import annotations

from collections.abc import Sequence


def declarations(types: Sequence[str], words: int = 0) -> str:
    """Operands ``m0, m1, ...`` as arrays of the given element types and, if there are any, the words (see `word`)."""
    lines = [
        f"@group(0) @binding({k}) var<storage, read_write> m{k}: array<{t}>;"  # all read_write, see calls.py
        for k, t in enumerate(types)
    ]
    if words:
        lines.append(f"@group(0) @binding({len(types)}) var<uniform> words: array<vec4<u32>, {-(-words // 4)}>;")
    return "\n".join(lines) + "\n"


def failed(flags: str, condition: str, number: str, value: str) -> str:
    """The statement that leaves a check's number and a value in the flags where a condition does not hold (see checks.py)."""
    return f"if (!({condition}) && {flags}[0] == 0u) {{ {flags}[0] = {number}; {flags}[1] = bitcast<u32>({value}); }}"


def word(k: int, type_: str = "u32") -> str:
    """The k-th word as an expression of type u32, i32 or f32."""
    text = f"words[{k // 4}].{'xyzw'[k % 4]}"
    return text if type_ == "u32" else f"bitcast<{type_}>({text})"


def flat_index(group: str = "group", groups: str = "groups") -> str:
    """The number of the workgroup, for a dispatch whose `groups` is a number: from ``@builtin(workgroup_id) group: vec3<u32>`` and
    ``@builtin(num_workgroups) groups: vec3<u32>``. It may be beyond the number asked for.
    """
    return f"({group}.x + {group}.y * {groups}.x)"
