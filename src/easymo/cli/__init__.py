"""The ``easymo`` command: parse, call one function, print."""

from easymo.cli.main import main

__all__ = ["main"]
