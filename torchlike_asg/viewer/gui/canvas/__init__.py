"""The canvas: the graph as one widget that is drawn, not built of items."""

from .fusions import hue as fusion_hue
from .geometry import Camera, Geometry
from .paint import Marks, Model, Painter
from .palette import DARK, FAILED, LIGHT, STYLES, Colors, Style, style_of
from .widget import Canvas

__all__ = [
    "DARK",
    "FAILED",
    "LIGHT",
    "STYLES",
    "Camera",
    "Canvas",
    "Colors",
    "Geometry",
    "Marks",
    "Model",
    "Painter",
    "Style",
    "fusion_hue",
    "style_of",
]
