"""Texts people read, in every language the package speaks: one folder of TOML files a language (see :mod:`.catalog`)."""
