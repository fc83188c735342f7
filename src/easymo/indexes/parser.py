"""The parser of Postgres, from postgast.

Its type stub names an enum value None, which stops a type checker; so it is loaded without types here, and only here.
"""

from importlib import import_module
from typing import Any

_postgast: Any = import_module("postgast")

# Nodes are protobuf messages with the names and fields of Postgres' own parse tree.
Tree = Any
Node = Any
SyntaxFault: Any = _postgast.PgQueryError  # has `message` and `cursorpos`, counted from 1


def parse(sql: str) -> Tree:
    """The parse tree of all statements of a text. Raises SyntaxFault."""
    return _postgast.parse(sql)


def deparse(tree: Tree) -> str:
    """The text of a parse tree."""
    return str(_postgast.deparse(tree))


def words(sql: str) -> list[str]:
    """The tokens of a text as they are written, comments left out."""
    encoded = sql.encode()  # positions count bytes
    found = [encoded[token.start : token.end].decode() for token in _postgast.scan(sql).tokens]
    return [word for word in found if not word.startswith(("--", "/*"))]
