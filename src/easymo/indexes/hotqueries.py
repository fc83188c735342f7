"""Named statements of a SQL file, as aiosql and this project write them: the queries that indexes are there for."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from easymo.indexes.conditions import Condition, conditions
from easymo.indexes.errors import SqlFileError
from easymo.indexes.parser import Node, SyntaxFault, enum_name, of_kind, parse, tokens

_NAME = re.compile(r"^--\s*name:\s*(?P<name>\w+)", re.MULTILINE)
_RATE = re.compile(r"^--\s*calls_per_minute:[ \t]*(?P<rate>.*?)\s*$", re.MULTILINE)
_GLUED = re.compile(r"(=|<|>|<=|>=|<>|!=|\|\||\+|-|\*|/|~~?\*?)[?%@]")
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
    """Table and column, and the statements that set it in rows that are there."""
    found: dict[tuple[str, str], list[HotQuery]] = {}
    for query in queries:
        for relation, columns in updates(query.statement):
            for column in columns:
                found.setdefault((relation.relname, column), []).append(query)
    return found


def updates(statement: Node) -> Iterator[tuple[Node, list[str]]]:
    """Table and columns of each UPDATE in a statement; MERGE and ON CONFLICT DO UPDATE are such, too."""
    for node in of_kind(statement, "UpdateStmt"):
        yield node.relation, _set(node.target_list)
    for node in of_kind(statement, "InsertStmt"):
        if columns := _set(node.on_conflict_clause.target_list):
            yield node.relation, columns
    for node in of_kind(statement, "MergeStmt"):
        clauses_ = [item.merge_when_clause for item in node.merge_when_clauses]
        columns = [
            c
            for clause in clauses_
            if enum_name(clause, "command_type") == "CMD_UPDATE"
            for c in _set(clause.target_list)
        ]
        if columns:
            yield node.relation, columns


def _set(targets: Iterable[Node]) -> list[str]:
    return [target.res_target.name for target in targets]


def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """The text with `$1` … in place of `:name`, `@name`, `%(name)s`, `%s` and `?`, and the names.

    A text that has `$1` already stays as it is. `%s` and `?` are parameters where no operand stands before them: after
    one they are the remainder and the question of jsonb.
    """
    sql = _apart(sql)
    encoded, names, pieces, at = sql.encode(), list[str](), list[bytes](), 0
    found, number, operand = tokens(sql), 0, False
    words = [encoded[token.start : token.end].decode() for token in found]
    formatted = "%s" in sql or "%(" in sql
    while number < len(found):
        length, name = _placeholder(found, words, number, operand)
        if length:
            start, end = found[number].start, found[number + length - 1].end
            list_before = number > 0 and words[number - 1].lower() == "in"
            name = name or f"{len(names) + 1}"
            if name not in names:
                names.append(name)
            parameter = f"${names.index(name) + 1}"
            # Drivers put a whole list in the place of the parameter of IN.
            begin = found[number - 1].start if list_before else start
            pieces += [encoded[at:begin], (f"= any({parameter})" if list_before else parameter).encode()]
            at, number, operand = end, number + length, True
            continue
        if (formatted and words[number : number + 2] == ["%", "%"]) or (formatted and words[number] == "%%"):
            end = found[number + (words[number] != "%%")].end
            pieces += [encoded[at : found[number].start], b"%"]
            at, number = end, number + 1 + (words[number] != "%%")
            continue
        operand = words[number] in (")", "]") or (
            (words[number][0] in "'\"$_" or words[number][0].isalnum()) and not _is_reserved(found[number])
        )
        number += 1
    return (b"".join(pieces) + encoded[at:]).decode(), tuple(names)


def _placeholder(found: Sequence[Node], words: Sequence[str], at: int, operand: bool) -> tuple[int, str]:
    """How many tokens the parameter has that begins here, 0 for none, and its name if it has one."""
    touching = 0
    while at + touching + 1 < len(found) and found[at + touching].end == found[at + touching + 1].start:
        touching += 1
    match words[at : at + touching + 1]:
        case [":" | "@", name, *_] if (words[at] == ":" or not operand) and (name[0].isalpha() or name[0] in '_"'):
            return 2, name
        case ["%", "(", name, ")", "s", *_] if not operand:
            return 5, name
        case ["%", "s", *_] if not operand:
            return 2, ""
        case ["?", *_] if not operand:
            return 1, ""
    return 0, ""


def _is_reserved(token: Node) -> bool:
    return enum_name(token, "keyword_kind") not in ("NO_KEYWORD", "UNRESERVED_KEYWORD")


def _apart(sql: str) -> str:
    """The text with a space in an operator that holds the beginning of a parameter, as in `a=?`."""
    encoded = sql.encode()
    for token in reversed(tokens(sql)):
        if _GLUED.fullmatch(encoded[token.start : token.end].decode()):
            encoded = encoded[: token.end - 1] + b" " + encoded[token.end - 1 :]
    return encoded.decode()


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
        rate = _RATE.search(body)
        if rate and not re.fullmatch(r"\d+(\.\d*)?|\.\d+", rate["rate"]):
            reason = f"calls_per_minute of {start['name']} is {rate['rate']!r}: write a number, such as 60 or 0.5."
            raise SqlFileError(path, line, reason)
        try:
            sql, names = numbered(body)
            statements = len(parse(sql).stmts)
        except SyntaxFault as error:
            raise SqlFileError(path, line, f"{start['name']} is not SQL that can be parsed: {error.message}") from error
        if statements != 1:
            raise SqlFileError(path, line, f"{start['name']} is {statements} statements: name each one.")
        yield HotQuery(
            start["name"], sql.strip().rstrip("; \n"), path, line, names, float(rate["rate"]) if rate else 1.0
        )
