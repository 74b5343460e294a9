"""The canvas: the graph as one widget that is drawn, not built of items."""

from .geometry import Camera, Geometry
from .paint import Marks, Model, Painter
from .palette import DARK, LIGHT, STYLES, Colors, Style, style_of
from .widget import Canvas

__all__ = ["DARK", "LIGHT", "STYLES", "Camera", "Canvas", "Colors", "Geometry", "Marks", "Model", "Painter", "Style", "style_of"]
