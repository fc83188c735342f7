"""A SQL file as its runner and Postgres read it: statements, their lines, and which of them refuse a transaction."""

import codecs
from collections.abc import Iterator
from pathlib import Path

import msgspec

from easymo.indexes.errors import SqlFileError
from easymo.indexes.masks import mask
from easymo.indexes.parser import Node, SyntaxFault, parse, tokens
from easymo.indexes.runners import PSQL, Runner, runner_of, what_runs

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
    `index_stmt`, and `node` its parse tree. `concurrent` statements have to run alone, outside a transaction.
    """

    text: str
    source: str
    line: int
    kind: str
    concurrent: bool
    node: Node


class Script(msgspec.Struct, frozen=True):
    """A file: its text, who runs it, its statements, and what could not be parsed."""

    path: Path
    text: str
    runner: Runner
    statements: list[Statement]
    faults: list[SqlFileError]


def read_statements(path: Path) -> list[Statement]:
    """The statements of a file in order, as they are run. Raises SqlFileError, with the line, for what is no SQL."""
    text, runner = _load(path)
    text = what_runs(runner, text)
    try:
        return split(text)
    except SyntaxFault as error:
        raise _fault(path, text, error) from error


def read_script(path: Path) -> Script:
    """Read a file in order to look at it: psql's own lines and data of COPY are skipped, placeholders become names.

    What cannot be parsed is a fault; the other statements are read. Raises nothing.
    """
    try:
        text, runner = _load(path)
    except SqlFileError as error:
        return Script(path, "", PSQL, [], [error])
    runs = what_runs(runner, text)
    try:
        return Script(path, text, runner, split(runs), [])
    except SyntaxFault:
        masked = mask(runs)
    try:
        return Script(path, text, runner, split(masked), [])
    except SyntaxFault as error:
        statements, faults = _salvage(path, masked)
        return Script(path, text, runner, statements, faults or [_fault(path, masked, error)])


def split(sql: str) -> list[Statement]:
    """The statements of a SQL text. Raises SyntaxFault when it cannot be parsed."""
    encoded = sql.encode()  # the parser counts bytes
    statements = []
    previous_end, line, counted = 0, 1, 0
    for raw in parse(sql).stmts:
        end = raw.stmt_location + raw.stmt_len if raw.stmt_len else len(encoded)
        line, counted = line + encoded.count(b"\n", counted, raw.stmt_location), raw.stmt_location
        statements.append(
            Statement(
                text=encoded[raw.stmt_location : end].decode().strip(),
                source=encoded[previous_end:end].decode().strip().lstrip("; \t\r\n"),
                line=line,
                kind=raw.stmt.WhichOneof("node") or "",
                concurrent=_runs_alone(raw.stmt),
                node=getattr(raw.stmt, raw.stmt.WhichOneof("node") or "", None),
            )
        )
        previous_end = end
    return statements


def _load(path: Path) -> tuple[str, Runner]:
    """The text of a file, and who runs it."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SqlFileError(path, 1, f"cannot be read: {error}") from error
    return text, runner_of(path, text)


def _fault(path: Path, sql: str, error: SyntaxFault, lines_before: int = 0) -> SqlFileError:
    line = lines_before + sql.count("\n", 0, max(0, error.cursorpos - 1)) + 1
    return SqlFileError(path, line, f"is not SQL that Postgres can parse: {error.message}")


def _salvage(path: Path, sql: str) -> tuple[list[Statement], list[SqlFileError]]:
    """What can be read of a text that cannot be parsed as a whole, statement by statement."""
    statements, faults = list[Statement](), list[SqlFileError]()
    try:
        pieces = list(_pieces(sql))
    except SyntaxFault:  # an open quote: nobody knows where it ends
        return [], []
    for piece, lines in pieces:
        try:
            statements += [msgspec.structs.replace(found, line=found.line + lines) for found in split(piece)]
        except SyntaxFault as error:
            faults.append(_fault(path, piece, error, lines))
    return statements, faults


def _pieces(sql: str) -> Iterator[tuple[str, int]]:
    """The text cut at its semicolons, with the number of lines before each piece."""
    encoded, start = sql.encode(), 0
    ends = [token.end for token in tokens(sql) if encoded[token.start : token.end] == b";"]
    for end in [*ends, len(encoded)]:
        yield encoded[start:end].decode(), encoded.count(b"\n", 0, start)
        start = end


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
