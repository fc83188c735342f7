"""The ``easymo`` command: parse, call one function, print."""

from easymo.cli.start import main

__all__ = ["main"]
