"""Recurrent layers: a whole sequence in one kernel, rows of the batch side by side."""

from . import lowering as lowering
