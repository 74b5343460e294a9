"""The version of the package; setup.cfg reads it from this file's text, without importing anything."""

__version__ = "0.1.0"
