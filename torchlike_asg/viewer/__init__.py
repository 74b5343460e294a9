"""The viewer: a live window on a module's graph. What is here runs beside the training and imports no Qt; the window is in `gui`."""
