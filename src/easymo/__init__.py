"""EasyMO, measured: the engines behind a performance promise and the judge that holds it to account."""

__version__ = "0.2.0"
"""The same as in pyproject.toml, which a test checks: reading it from the installed package takes 10 ms."""
