"""Named statements of a SQL file, as aiosql and this project write them: the queries that indexes are there for."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from easymo.indexes.conditions import Condition, conditions
from easymo.indexes.errors import SqlFileError
from easymo.indexes.parser import Node, SyntaxFault, of_kind, parse, tokens

_NAME = re.compile(r"^--\s*name:\s*(?P<name>\w+)", re.MULTILINE)
_RATE = re.compile(r"^--\s*calls_per_minute:\s*(?P<rate>[0-9.]+)\s*$", re.MULTILINE)
_WRITES = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")


class HotQuery(msgspec.Struct, frozen=True):
    """A named statement. `text` has `$1`, `$2` … where the file may say `:name`; `parameters` are the names in order.

    `calls_per_minute` is what the comment `-- calls_per_minute: N` says, 1 where there is none.
    """

    name: str
    text: str
    path: Path
    line: int
    parameters: tuple[str, ...] = ()
    calls_per_minute: float = 1.0

    @property
    def statement(self) -> Node:
        """The parse tree of the statement."""
        return parse(self.text).stmts[0].stmt

    @property
    def is_select(self) -> bool:
        """Whether it only reads; a WITH query that writes does not."""
        writes = (node for kind in _WRITES for node in of_kind(self.statement, kind))
        return bool(self.statement.WhichOneof("node") == "select_stmt") and next(writes, None) is None

    @property
    def locks(self) -> bool:
        """Whether it says FOR UPDATE or the like."""
        return any(True for _ in of_kind(self.statement, "LockingClause"))


def read_hot_queries(paths: Iterable[Path]) -> list[HotQuery]:
    """The named statements of some files. Raises SqlFileError for one that cannot be parsed."""
    return [query for path in paths for query in _read(path)]


def relations(statement: Node) -> dict[str, str]:
    """Alias (or name) and table of everything that a statement reads or writes."""
    return {node.alias.aliasname or node.relname: node.relname for node in of_kind(statement, "RangeVar")}


def table_conditions(statement: Node) -> list[tuple[str, Condition]]:
    """Table and condition of every comparison in the statement's WHERE and ON clauses, subqueries included."""
    found = relations(statement)
    only = next(iter(found.values())) if len(set(found.values())) == 1 else ""
    return [
        (found.get(condition.relation, only), condition)
        for clause in clauses(statement)
        for condition in conditions(clause)
    ]


def clauses(statement: Node) -> Iterator[Node]:
    """The WHERE and ON expressions of a statement and its subqueries."""
    for kind, field in (
        ("SelectStmt", "where_clause"),
        ("UpdateStmt", "where_clause"),
        ("DeleteStmt", "where_clause"),
        ("JoinExpr", "quals"),
    ):
        for node in of_kind(statement, kind):
            if node.HasField(field):
                yield getattr(node, field)


def updated_columns(queries: Iterable[HotQuery]) -> dict[tuple[str, str], list[HotQuery]]:
    """Table and column, and the UPDATE statements that set it."""
    found: dict[tuple[str, str], list[HotQuery]] = {}
    for query in queries:
        for update in of_kind(query.statement, "UpdateStmt"):
            for target in update.target_list:
                found.setdefault((update.relation.relname, target.res_target.name), []).append(query)
    return found


def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """The text with `$1` … in place of `:name`, and the names. A text that has `$1` already stays as it is."""
    encoded, names, pieces, at = sql.encode(), list[str](), list[bytes](), 0
    previous = None
    for token in tokens(sql):
        if previous is not None and previous.end == token.start and encoded[previous.start : previous.end] == b":":
            name = encoded[token.start : token.end].decode()
            if name not in names:
                names.append(name)
            pieces += [encoded[at : previous.start], f"${names.index(name) + 1}".encode()]
            at = token.end
        previous = token
    return (b"".join(pieces) + encoded[at:]).decode(), tuple(names)


def _read(path: Path) -> Iterator[HotQuery]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SqlFileError(path, 1, f"cannot be read: {error}") from error
    starts = [*_NAME.finditer(text)]
    if not starts:
        raise SqlFileError(path, 1, "names no statement: write a line `-- name: some_name` before each.")
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        body = text[start.end() : following.start() if following else len(text)].partition("\n")[2]
        line = text.count("\n", 0, start.start()) + 1
        sql, names = numbered(body)
        try:
            statements = len(parse(sql).stmts)
        except SyntaxFault as error:
            raise SqlFileError(path, line, f"{start['name']} is not SQL that can be parsed: {error.message}") from error
        if statements != 1:
            raise SqlFileError(path, line, f"{start['name']} is {statements} statements: name each one.")
        rate = _RATE.search(body)
        yield HotQuery(
            start["name"], sql.strip().rstrip("; \n"), path, line, names, float(rate["rate"]) if rate else 1.0
        )
