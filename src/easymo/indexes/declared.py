"""The indexes that SQL files declare."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from easymo.indexes.definitions import MAX_NAME_BYTES, Definition, parse_definition
from easymo.indexes.errors import DeclarationError, SqlFileError
from easymo.indexes.sqlfile import Statement, read_statements

INDEX_KIND = "index_stmt"


class Declared(msgspec.Struct, frozen=True):
    """An index that a file wants: what it is, the statement that says so, and where that stands."""

    definition: Definition
    statement: str
    path: Path
    line: int

    @property
    def name(self) -> str:
        return self.definition.name


def read_declared(*paths: Path) -> list[Declared]:
    """The indexes of some files, in order.

    Raises SqlFileError for a statement that is not CREATE INDEX, because it would be left out in silence, and for a
    name that is declared twice; DeclarationError for an index whose name Postgres would not keep.
    """
    found: dict[str, Declared] = {}
    for path in paths:
        for index in declared_indexes(path, read_statements(path)):
            if index.name in found:
                first = found[index.name]
                raise SqlFileError(
                    path, index.line, f"index {index.name} is declared in {first.path}:{first.line} too."
                )
            found[index.name] = index
    return list(found.values())


def declared_indexes(path: Path, statements: Iterable[Statement]) -> list[Declared]:
    """The same for statements of one file that were read already."""
    return [_declared(path, statement) for statement in statements]


def _declared(path: Path, statement: Statement) -> Declared:
    if statement.kind != INDEX_KIND:
        raise SqlFileError(
            path, statement.line, "is not CREATE INDEX. Only indexes are built here: leave the rest to your migrations."
        )
    definition = parse_definition(statement.text)
    if not definition.name:
        raise SqlFileError(path, statement.line, "the index has no name, so that it could not be found again: name it.")
    if len(definition.name.encode()) > MAX_NAME_BYTES:
        raise DeclarationError(
            definition.name,
            f"its name is longer than {MAX_NAME_BYTES} bytes and Postgres would cut it off; shorten it.",
        )
    return Declared(definition=definition, statement=statement.text, path=path, line=statement.line)
