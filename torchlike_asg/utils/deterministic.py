"""``torch.utils.deterministic``: uninitialised memory is filled with zeros here, so results never depend on it."""

#: accepted and remembered
fill_uninitialized_memory = True
