"""The parser of Postgres, from postgast.

Its type stub names an enum value None, which stops a type checker; so it is loaded without types here, and only here.
"""

from collections.abc import Iterator
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


def fingerprint(sql: str) -> str:
    """Equal for texts that differ only in constants, parameters and white space. Raises SyntaxFault."""
    return str(_postgast.fingerprint(sql).hex)


def tokens(sql: str) -> list[Node]:
    """The tokens of a text with `start` and `end` in bytes, comments left out."""
    encoded = sql.encode()
    return [
        token for token in _postgast.scan(sql).tokens if encoded[token.start : token.start + 2] not in (b"--", b"/*")
    ]


def words(sql: str) -> list[str]:
    """The tokens of a text as they are written, comments left out."""
    encoded = sql.encode()
    return [encoded[token.start : token.end].decode() for token in tokens(sql)]


def enum_name(message: Node, field: str) -> str:
    """The name of an enumeration's value, such as AEXPR_IN."""
    descriptor = message.DESCRIPTOR.fields_by_name[field].enum_type
    return str(descriptor.values_by_number[getattr(message, field)].name)


def descendants(message: Node) -> Iterator[Node]:
    """A message and everything below it, parents first."""
    yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for child in value if descriptor.is_repeated else (value,):
                yield from descendants(child)


def of_kind(message: Node, kind: str) -> Iterator[Node]:
    """The messages of one type, such as ColumnRef, in a tree."""
    return (node for node in descendants(message) if node.DESCRIPTOR.name == kind)


def expression_text(expression: Node) -> str:
    """An expression as the parser writes it."""
    tree = parse("select 1")
    tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.CopyFrom(expression)
    return deparse(tree).removeprefix("SELECT ")
