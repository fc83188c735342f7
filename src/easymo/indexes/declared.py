"""What SQL files ask of indexes: CREATE INDEX, DROP INDEX, REINDEX INDEX and COMMENT ON INDEX, of whole migrations."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import msgspec

from easymo.indexes.definitions import MAX_NAME_BYTES, Definition, definition_of, statement_on
from easymo.indexes.errors import DeclarationError, SqlFileError
from easymo.indexes.parser import Node, enum_name
from easymo.indexes.sqlfile import Statement, read_script

INDEX_KIND = "index_stmt"
_NO_CHANGE = {"transaction_stmt", "variable_set_stmt", "variable_show_stmt", "select_stmt"}


class Verb(StrEnum):
    """What is to be done with the index."""

    CREATE = "create"
    DROP = "drop"
    REINDEX = "reindex"


class Declared(msgspec.Struct, frozen=True):
    """An index that a file wants, or wants to be gone: what it is, the statement that says so, and where that stands.

    `comment` is what the file says about it. `replaces`: the file drops an index of that name first. `on_new_table`:
    the file makes its table.
    """

    definition: Definition
    statement: str
    path: Path
    line: int
    verb: Verb = Verb.CREATE
    comment: str = ""
    replaces: bool = False
    on_new_table: bool = False

    @property
    def name(self) -> str:
        return self.definition.name


class Declarations(msgspec.Struct, frozen=True):
    """What some files declare, in order, and the statements that are left to whoever runs the migrations."""

    indexes: list[Declared]
    left: list[str]


def read_declared(*paths: Path) -> list[Declared]:
    """The index statements of some files, in order; `read_declarations` says what they leave.

    Raises SqlFileError for a file that Postgres could not parse and for a name that is declared twice;
    DeclarationError for an index whose name Postgres would not keep.
    """
    return read_declarations(*paths).indexes


def read_declarations(*paths: Path) -> Declarations:
    """The same with what is left. An index that is made and dropped again is only dropped."""
    reader = _Reader()
    for path in paths:
        script = read_script(path)
        if script.faults:
            raise script.faults[0]
        reader.read(path, script.statements)
    return Declarations(list(reader.found.values()), reader.left)


def declared_indexes(path: Path, statements: Iterable[Statement]) -> list[Declared]:
    """The same for statements of one file that were read already."""
    reader = _Reader()
    reader.read(path, statements)
    return list(reader.found.values())


class _Reader:
    def __init__(self) -> None:
        self.found: dict[tuple[str, str], Declared] = {}
        self.left: list[str] = []
        self._tables: set[tuple[str, str]] = set()

    def read(self, path: Path, statements: Iterable[Statement]) -> None:
        for statement in statements:
            node, at = statement.node, (statement.text, path, statement.line)
            match statement.kind:
                case "create_stmt":
                    self._tables.add((node.relation.schemaname, node.relation.relname))
                case "create_table_as_stmt":
                    self._tables.add((node.into.rel.schemaname, node.into.rel.relname))
                case "index_stmt":
                    self._create(node, *at)
                    continue
                case "drop_stmt" if enum_name(node, "remove_type") == "OBJECT_INDEX":
                    for entry in node.objects:
                        self._put(Verb.DROP, [item.string.sval for item in entry.list.items], *at)
                    continue
                case "reindex_stmt" if enum_name(node, "kind") == "REINDEX_OBJECT_INDEX":
                    self._put(Verb.REINDEX, [node.relation.schemaname, node.relation.relname], *at)
                    continue
                case "comment_stmt" if enum_name(node, "objtype") == "OBJECT_INDEX" and self._comment(node):
                    continue
            if statement.kind not in _NO_CHANGE:
                first_line = statement.text.partition("\n")[0]
                self.left.append(f"{path}:{statement.line}: {first_line[:80]}")

    def _create(self, node: Node, text: str, path: Path, line: int) -> None:
        definition = definition_of(node, text)
        if len(definition.name.encode()) > MAX_NAME_BYTES:
            raise DeclarationError(
                definition.name,
                f"its name is longer than {MAX_NAME_BYTES} bytes and Postgres would cut it off; shorten it.",
            )
        key = (definition.schema, definition.name)
        before = self.found.pop(key, None)
        if before and before.verb is Verb.CREATE:
            if not node.if_not_exists:
                raise SqlFileError(
                    path, line, f"index {definition.name} is declared in {before.path}:{before.line} too."
                )
            self.found[key] = before
            return
        if not node.idxname:  # by the name that Postgres would give it, so that it is found again
            relation = node.relation
            text = statement_on(
                text, relation.schemaname, relation.relname, definition.name, concurrent=node.concurrent, place=True
            )
        self.found[key] = Declared(
            definition,
            text,
            path,
            line,
            replaces=before is not None,
            on_new_table=(definition.schema, definition.table) in self._tables,
        )

    def _put(self, verb: Verb, names: list[str], text: str, path: Path, line: int) -> None:
        schema, name = (names[-2] if len(names) > 1 else ""), names[-1]
        self.found.pop((schema, name), None)
        self.found[schema, name] = Declared(Definition(name, schema, "", ()), text, path, line, verb)

    def _comment(self, node: Node) -> bool:
        names = [item.string.sval for item in node.object.list.items]
        key = ("".join(names[:-1]), names[-1])
        declared = self.found.get(key)
        if declared is None or declared.verb is not Verb.CREATE:
            return False
        self.found[key] = msgspec.structs.replace(declared, comment=node.comment)
        return True
