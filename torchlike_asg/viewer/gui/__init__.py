"""The viewer's window: a process of its own, the only part of the package that uses Qt."""
