"""``python -m torchlike_asg port SCRIPT.py``: which of PyTorch's names a script uses are here, and its imports rewritten.

`names` knows what is here, `scan` finds the names in a script, `rewrite` changes its imports, `command` is the command line.
docs/porting.md is generated from the same table.
"""
