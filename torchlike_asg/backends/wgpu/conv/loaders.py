"""Patches of images, and filters where they lie, as operands of the tiled product.

Along k they have (tap, channel), the channel fastest: memory with channels last is read in whole vec4, all four of which lie at one pixel.
Sizes of kernels and numbers of channels are written into the text, where divisions by them cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ..calls import View, element
from ..gemm.kernel import Loader, Side
from .geometry import Walk

#: numbers along the spatial dimensions that matter
Few = tuple[int, ...]


def _digits(number: str, sizes: Sequence[int]) -> list[str]:
    """A number's indices along dimensions of constant sizes."""
    out: list[str] = []
    for n in reversed(sizes[1:]):
        out.append(f"({number} % {n}u)" if n > 1 else "0u")
        number = f"({number} / {n}u)" if n > 1 else number
    return [number, *reversed(out)] if sizes else []


def _sum(*terms: str) -> str:
    return " + ".join(t for t in terms if t) or "0u"


@dataclass(frozen=True)
class PatchLoader(Loader):
    """Rows are pixels of the result, k is (tap, channel) of the image. Its words: size and step of the image, number of pixels of the
    result and the walk along each spatial dimension, steps of the batch (``n``) and the channel (``c``).
    """

    kernel: tuple[int, ...]
    channels: int
    #: every piece of k lies at one tap, so that where that is is computed once for it
    one_tap: bool
    kind = "patches"

    @property
    def key(self) -> tuple[Hashable, ...]:
        return *super().key, self.kernel, self.channels, self.one_tap

    @property
    def _vector(self) -> bool:
        return self.type.startswith("vec4")

    def row(self, s: Side, i: int, row: str, k: str) -> str:
        p = s.prefix
        lines = [f"var {p}_rest{i} = min({row}, {s.extent} - 1u);", f"var {p}_row{i} = {p}_at;"]
        for d in reversed(range(len(self.kernel))):
            lines += [
                f"let {p}_q{i}_{d} = i32(({p}_rest{i} % {s.word(f'q{d}')}) * {s.word(f'step{d}')} + {s.word(f'first{d}')});",
                f"{p}_rest{i} = {p}_rest{i} / {s.word(f'q{d}')};",
                f"{p}_row{i} += u32({p}_q{i}_{d}) * {s.word(f'x{d}')};",
            ]
        return "\n".join([*lines, f"{p}_row{i} += {p}_rest{i} * {s.word('n')};"])

    def step(self, s: Side) -> str:
        if not self.one_tap:
            return ""
        p, lines, far = s.prefix, [], [f"(k % {self.channels}u)"]
        for d, tap in enumerate(_digits(f"(k / {self.channels}u)", self.kernel)):
            lines.append(f"let {p}_j{d} = i32({tap}) * bitcast<i32>({s.word(f'apart{d}')});")
            far.append(f"u32({p}_j{d}) * {s.word(f'x{d}')}")
        return "\n".join([*lines, f"let {p}_far = {_sum(*far)};"])

    def load(self, s: Side, i: int, k: str) -> str:
        if self.one_tap:
            p = s.prefix
            inside = [f"u32({p}_q{i}_{d} + {p}_j{d}) < {s.word(f'size{d}')}" for d in range(len(self.kernel))]
            at = f"({p}_row{i} + {p}_k{i} + {p}_far) / 4u"
            loaded = f"select({s.vector}(), {s.memory}[select(0u, {at}, inside)], inside)"
            return f"{{ let inside = {' && '.join(inside) or 'true'}; {p}_value{i} = {loaded}; }}"
        if self._vector:
            return f"{{ {self._one(s, i, k, 0)} {s.prefix}_value{i} = v0; }}"
        lines = [self._one(s, i, f"({k} + {e}u)", e) for e in range(4)]
        return f"{{ {' '.join(lines)} {s.prefix}_value{i} = {s.vector}(v0, v1, v2, v3); }}"

    def _one(self, s: Side, i: int, k: str, e: int) -> str:
        """Statements for ``v{e}``: what lies at one tap and channel (or four)."""
        p, lines = s.prefix, [f"let k{e} = {k};"]
        taps = [f"i32({t})" for t in _digits(f"(k{e} / {self.channels}u)", self.kernel)]
        inside = [f"k{e} < {s.depth}"] if self.checked else []
        at = [f"{p}_row{i}", f"(k{e} % {self.channels}u)" + ("" if self._vector else f" * {s.word('c')}")]
        for d, tap in enumerate(taps):
            if self.kernel[d] == 1:
                inside.append(f"u32({p}_q{i}_{d}) < {s.word(f'size{d}')}")
                continue
            lines.append(f"let j{e}_{d} = {tap} * bitcast<i32>({s.word(f'apart{d}')});")
            inside.append(f"u32({p}_q{i}_{d} + j{e}_{d}) < {s.word(f'size{d}')}")
            at.append(f"u32(j{e}_{d}) * {s.word(f'x{d}')}")
        zero = f"{s.vector}()" + ("" if self._vector else ".x")
        place = f"({_sum(*at)})" + (" / 4u" if self._vector else "")
        lines += [
            f"let inside{e} = {' && '.join(inside) or 'true'};",
            f"let v{e} = select({zero}, {s.memory}[select(0u, {place}, inside{e})], inside{e});",
        ]
        return " ".join(lines)


@dataclass(frozen=True)
class TapLoader(Loader):
    """Filters: rows are outputs, k is (tap, channel). Its words: steps of the output (``o``), the channel (``c``) and the taps."""

    kernel: tuple[int, ...]
    channels: int
    kind = "taps"

    @property
    def key(self) -> tuple[Hashable, ...]:
        return *super().key, self.kernel, self.channels

    def row(self, s: Side, i: int, row: str, k: str) -> str:
        return f"let {s.prefix}_row{i} = {s.prefix}_at + min({row}, {s.extent} - 1u) * {s.word('o')};"

    def load(self, s: Side, i: int, k: str) -> str:
        lines, values = [], []
        for e in range(4):
            lines.append(f"let k{e} = {k} + {e}u;")
            taps = _digits(f"(k{e} / {self.channels}u)", self.kernel)
            steps = [f"{t} * {s.word(f'tap{d}')}" for d, t in enumerate(taps) if self.kernel[d] > 1]
            at = _sum(f"{s.prefix}_row{i}", f"(k{e} % {self.channels}u) * {s.word('c')}", *steps)
            if self.checked:
                lines.append(f"let inside{e} = k{e} < {s.depth};")
                values.append(f"select({s.vector}().x, {s.memory}[select(0u, {at}, inside{e})], inside{e})")
            else:
                values.append(f"{s.memory}[{at}]")
        return f"{{ {' '.join(lines)} {s.prefix}_value{i} = {s.vector}({', '.join(values)}); }}"


@dataclass(frozen=True)
class WindowLoader(Loader):
    """For gradients of filters: rows are (tap, channel) of the image, k is the pixel (image of the batch, then spatial) that a result's
    gradient lies at. Words as those of `PatchLoader` without the ``q``, which are `pixels` in the text.
    """

    kernel: tuple[int, ...]
    channels: int
    pixels: tuple[int, ...]
    kind = "windows"

    @property
    def key(self) -> tuple[Hashable, ...]:
        return *super().key, self.kernel, self.channels, self.pixels

    @property
    def _vector(self) -> bool:
        return self.type.startswith("vec4")

    def row(self, s: Side, i: int, row: str, k: str) -> str:
        p, lines = s.prefix, []
        for e in range(1 if self._vector else 4):
            lines.append(f"let {p}_n{i}_{e} = min({row} + {e}u, {s.extent} - {4 if self._vector else 1}u);")
            taps = _digits(f"({p}_n{i}_{e} / {self.channels}u)", self.kernel)
            for d, tap in enumerate(taps):
                lines.append(f"let {p}_j{i}_{e}_{d} = i32({tap} * {s.word(f'apart{d}')} + {s.word(f'first{d}')});")
            scale = "" if self._vector else f" * {s.word('c')}"
            lines.append(f"let {p}_row{i}_{e} = {p}_at + ({p}_n{i}_{e} % {self.channels}u){scale};")
        return "\n".join(lines)

    def load(self, s: Side, i: int, k: str) -> str:
        p, value = s.prefix, f"{s.prefix}_value{i}"
        places = _digits("k0", (0, *self.pixels))
        lines = [f"let k0 = {k};", *[f"let q{d} = i32({q} * {s.word(f'step{d}')});" for d, q in enumerate(places[1:])]]
        zero, values = f"{s.vector}()" + ("" if self._vector else ".x"), []
        for e in range(1 if self._vector else 4):
            inside = [f"k0 < {s.depth}"] if self.checked else []
            at = [f"{p}_row{i}_{e}", f"{places[0]} * {s.word('n')}"]
            for d in range(len(self.pixels)):
                lines.append(f"let x{e}_{d} = q{d} + {p}_j{i}_{e}_{d};")
                inside.append(f"u32(x{e}_{d}) < {s.word(f'size{d}')}")
                at.append(f"u32(x{e}_{d}) * {s.word(f'x{d}')}")
            place = f"({_sum(*at)})" + (" / 4u" if self._vector else "")
            lines.append(f"let inside{e} = {' && '.join(inside) or 'true'};")
            values.append(f"select({zero}, {s.memory}[select(0u, {place}, inside{e})], inside{e})")
        loaded = values[0] if self._vector else f"{s.vector}({', '.join(values)})"
        return f"{{ {' '.join(lines)} {value} = {loaded}; }}"


def _image_words(x: View, dims: tuple[int, ...], walk: Walk) -> tuple[dict[str, int], bool]:
    """The words of an image, without ``q``, and whether four channels can be read at a time."""
    words = {"n": x.strides[0], "c": x.strides[4]}
    for i, d in enumerate(dims):
        words |= {
            f"size{i}": x.shape[d + 1], f"x{i}": x.strides[d + 1], f"step{i}": walk.step[d], f"first{i}": walk.first[d],
            f"apart{i}": walk.apart[d],
        }  # fmt: skip
    steps = [x.strides[d + 1] for d in dims] + ([x.strides[0]] if x.shape[0] > 1 else [])
    return words, x.strides[4] == 1 and not any(s % 4 for s in (x.offset, *steps))


def patches(x: View, channels: int, kernel: Few, pixels: Few, dims: Few, walk: Walk, depth: int, *, checked: bool) -> PatchLoader:
    """The loader of an image (N, D, H, W, C), of which each group sees `channels`; pieces have `depth` of k."""
    words, adjacent = _image_words(x, dims, walk)
    words |= {f"q{i}": n for i, n in enumerate(pixels)}
    binding, words["at"] = x.bind()
    t = element(x.dtype)
    vector = adjacent and channels % 4 == 0
    one_tap = vector and channels % depth == 0
    return PatchLoader(binding, f"vec4<{t}>" if vector else t, True, checked, words, kernel, channels, one_tap)


def windows(
    x: View, channels: int, kernel: tuple[int, ...], pixels: tuple[int, ...], dims: tuple[int, ...], walk: Walk, *, checked: bool
) -> WindowLoader:
    """The loader of an image for gradients of filters."""
    words, adjacent = _image_words(x, dims, walk)
    binding, words["at"] = x.bind()
    t = element(x.dtype)
    return WindowLoader(binding, f"vec4<{t}>" if adjacent and channels % 4 == 0 else t, False, checked, words, kernel, channels, pixels)


def taps(w: View, dims: tuple[int, ...], *, checked: bool) -> TapLoader:
    """The loader of filters (groups, O, D, H, W, C)."""
    binding, at = w.bind()
    words = {"at": at, "o": w.strides[1], "c": w.strides[5], **{f"tap{i}": w.strides[d + 2] for i, d in enumerate(dims)}}
    return TapLoader(binding, element(w.dtype), True, checked, words, tuple([w.shape[d + 2] for d in dims]), w.shape[5])
