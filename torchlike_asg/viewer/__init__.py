"""The viewer: a live window on a module's graph. What is here runs beside the training and imports no Qt; the window is in `gui`.

handle = model.visualize(lang="en")      # or torchlike_asg.viewer.attach(model)
... training, unchanged ...
handle.log("validation", loss)           # further curves
"""

from .attach import ViewerHandle, attach, visualize

__all__ = ["ViewerHandle", "attach", "visualize"]
