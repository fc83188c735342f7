"""A SQL file as Postgres reads it: its statements, their lines, and which of them refuse to run in a transaction."""

from pathlib import Path

import msgspec

from easymo.indexes.errors import SqlFileError
from easymo.indexes.parser import Node, SyntaxFault, parse

_ALWAYS_ALONE = {
    "alter_system_stmt",
    "create_table_space_stmt",
    "createdb_stmt",
    "drop_table_space_stmt",
    "dropdb_stmt",
}


class Statement(msgspec.Struct, frozen=True):
    """One statement of a file.

    `text` is the statement without its semicolon, `source` the same with the comments before it, which is what a
    migration history records. `line` is where `text` begins, counted from 1. `kind` is the parser's name of it, such as
    `index_stmt`. `concurrent` statements have to run alone, outside a transaction.
    """

    text: str
    source: str
    line: int
    kind: str
    concurrent: bool


def read_statements(path: Path) -> list[Statement]:
    """The statements of a file in order. Raises SqlFileError with the line when Postgres could not parse it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SqlFileError(path, 1, f"cannot be read: {error}") from error
    try:
        return split(text)
    except SyntaxFault as error:
        line = text.count("\n", 0, max(0, error.cursorpos - 1)) + 1
        raise SqlFileError(path, line, f"is not SQL that Postgres can parse: {error.message}") from error


def split(sql: str) -> list[Statement]:
    """The statements of a SQL text. Raises SyntaxFault when it cannot be parsed."""
    encoded = sql.encode()  # the parser counts bytes
    statements = []
    previous_end = 0
    for raw in parse(sql).stmts:
        end = raw.stmt_location + raw.stmt_len if raw.stmt_len else len(encoded)
        statements.append(
            Statement(
                text=encoded[raw.stmt_location : end].decode().strip(),
                source=encoded[previous_end:end].decode().strip().lstrip("; \t\r\n"),
                line=encoded.count(b"\n", 0, raw.stmt_location) + 1,
                kind=raw.stmt.WhichOneof("node") or "",
                concurrent=_runs_alone(raw.stmt),
            )
        )
        previous_end = end
    return statements


def _runs_alone(node: Node) -> bool:
    kind = node.WhichOneof("node")
    match kind:
        case "index_stmt" | "drop_stmt":
            return bool(getattr(node, kind).concurrent)
        case "reindex_stmt":
            return any(param.def_elem.defname == "concurrently" for param in node.reindex_stmt.params)
        case "vacuum_stmt":
            return bool(node.vacuum_stmt.is_vacuumcmd)
        case "alter_table_stmt":
            details = [getattr(cmd.alter_table_cmd, "def") for cmd in node.alter_table_stmt.cmds]
            return any(detail.partition_cmd.concurrent for detail in details)
    return kind in _ALWAYS_ALONE
