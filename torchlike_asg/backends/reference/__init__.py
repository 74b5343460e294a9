"""The reference backend: NumPy, one operation at a time, correct first. Every other backend is compared with it."""

from .device import ReferenceBackend

__all__ = ["ReferenceBackend"]
