"""Colours and glyphs of the canvas. No Qt.

Eight hues after the palette of Okabe and Ito (Color Universal Design, 2008), which colour-blind people tell apart; a glyph and a label
always carry the meaning as well. Meanings: green inputs, blue arithmetic, yellow activations, orange sums and losses, pink
normalisation, grey whatever only moves data.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["DARK", "FAILED", "LIGHT", "STYLES", "Colors", "Style", "contrast", "mix", "readable", "style_of"]


@dataclass(frozen=True)
class Style:
    """How nodes of one class look. ``key`` also names its legend text."""

    key: str
    hue: str
    glyph: str


STYLES = {
    s.key: s
    for s in (
        Style("input", "#009E73", "▶"),
        Style("weight", "#56B4E9", "◆"),
        Style("arithmetic", "#3F8FD2", "±"),
        Style("product", "#D55E00", "⊗"),
        Style("activation", "#F0E442", "ƒ"),
        Style("reduction", "#E69F00", "∑"),
        Style("norm", "#CC79A7", "≈"),
        Style("shape", "#A0A6B4", "⤢"),
        Style("gradient", "#868D9B", "∂"),
        Style("module", "#7C88A6", "▣"),
    )
}
#: an operation that could not be recorded
FAILED = Style("error", "#E5484D", "✕")

_CLASS = {
    "leaf": "weight",
    "identity": "shape",
    "shape": "shape",
    "index": "shape",
    "sort": "shape",
    "cast": "shape",
    "creation": "shape",
    "gradient": "gradient",
    "activation": "activation",
    "arithmetic": "arithmetic",
    "comparison": "arithmetic",
    "logic": "arithmetic",
    "special": "arithmetic",
    "linalg": "product",
    "attention": "product",
    "conv": "product",
    "embedding": "product",
    "recurrent": "product",
    "fft": "product",
    "loss": "reduction",
    "reduction": "reduction",
    "pool": "reduction",
    "norm": "norm",
    "random": "norm",
}


def style_of(category: str) -> Style:
    """The style of an operation's category (`Op.category`), or of a style's own key. A category nobody has named looks like arithmetic."""
    if category == FAILED.key:
        return FAILED
    return STYLES.get(category) or STYLES[_CLASS.get(category, "arithmetic")]


@dataclass(frozen=True)
class Colors:
    """A theme's colours. ``groups``: fills of open groups, by depth. ``selection``: the chosen box; ``incident``: its edges;
    ``match``: what a search found; ``bad``: errors and alarms."""

    dark: bool
    background: str
    panel: str
    line: str
    text: str
    dim: str
    edge: str
    selection: str
    incident: str
    match: str
    bad: str
    good: str
    groups: tuple[str, ...] = field(default=())

    def group(self, depth: int) -> str:
        return self.groups[min(depth, len(self.groups) - 1)]

    def face(self, hue: str) -> str:
        """The fill of a node's box: the theme's panel with a breath of the hue."""
        return mix(self.panel, hue, 0.24 if self.dark else 0.20)


DARK = Colors(
    dark=True,
    background="#14161C",
    panel="#1B1E26",
    line="#3A4152",
    text="#EEF1F7",
    dim="#BCC4D4",
    edge="#9AA6BD",
    selection="#FFDC64",
    incident="#FFB020",
    match="#7CE0C3",
    bad="#FF6B5E",
    good="#2BB39B",
    groups=("#191C24", "#1E222B", "#232833", "#282E3A", "#2D3442"),
)
LIGHT = Colors(
    dark=False,
    background="#F5F6F9",
    panel="#FFFFFF",
    line="#B9C1CF",
    text="#161C28",
    dim="#4A5468",
    edge="#5E6A80",
    selection="#966200",
    incident="#B25E00",
    match="#00735A",
    bad="#B3261E",
    good="#0B7A66",
    groups=("#EFF1F6", "#E8EBF2", "#E1E5EE", "#DADFEA", "#D3D9E6"),
)


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def mix(a: str, b: str, share: float) -> str:
    """`share` of `b` in `a`."""
    return "#" + "".join(f"{round(x * (1 - share) + y * share):02X}" for x, y in zip(_rgb(a), _rgb(b), strict=True))


def _luminance(color: str) -> float:
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in _rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """The contrast ratio of two colours, from 1 to 21 (WCAG 2.2, relative luminance)."""
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def readable(ground: str) -> str:
    """Black or white, whichever stands out more: at least 4.5:1 on any ground."""
    return max("#000000", "#FFFFFF", key=lambda c: contrast(c, ground))
