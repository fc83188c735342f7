"""Real values for the parameters of a statement, out of rows that are there.

A parameter is compared with something: a column, an expression such as `lower(email)`, a key of a document. That, its
subject, is computed for a sample of rows, and the parameter gets values of it: a frequent one, one in the middle, a
rare one. Values of one list come from one row, so conditions hold together. Only what is compared with nothing, such as
LIMIT, gets a value by its type. There is never a NULL: what cannot be bound cannot be tried.
"""

import re
from collections.abc import Sequence

import asyncpg
import msgspec

from easymo.indexes.asked import Asked
from easymo.indexes.conditions import columns_in, unqualified
from easymo.indexes.explain import Values
from easymo.indexes.observed import Connection
from easymo.indexes.parser import Node, descendants, expression_text, of_kind, parse
from easymo.indexes.tables import Tables

# Where a parameter is compared with no column: a day, a page of 50 rows, and an optional filter left out.
_BY_TYPE = {
    "interval": "1 day",
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric", "real", "double precision"), "50"),
    **dict.fromkeys(("date", "timestamp without time zone", "timestamp with time zone"), "now"),
    **dict.fromkeys(("text", "character varying", "character", "name", "citext"), "x"),
    **dict.fromkeys(("json", "jsonb"), "{}"),
    "boolean": "true",
    "time without time zone": "12:00",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "inet": "127.0.0.1",
    "cidr": "127.0.0.0/8",
    "bytea": "",
    "tsquery": "x",
    "jsonpath": "$.x",
    "regconfig": "simple",
}
_RANKS = (0.0, 0.5, 0.99)  # a frequent value, one in the middle, a rare one
_SAMPLE_BYTES, _SAMPLE_ROWS = 4 * 2**20, 20_000
_RANGES, _PATTERNS = ("<", "<=", ">", ">="), ("~~", "~~*", "~", "~*")
_ARRAYS = ("&&", "@>", "<@")
_KEYS = ("->", "->>", "?", "#>", "#>>", "?|", "?&")
# pg_stat_statements puts a parameter where only a literal may stand.
_TYPED_LITERAL = re.compile(r"\b(interval|date|time|timestamptz|timestamp)\s+(\$\d+)", re.IGNORECASE)


class UnboundError(Exception):
    """A parameter has no value that could be tried; the message says which and why."""


class _Subject(msgspec.Struct, frozen=True):
    """What a parameter is compared with: an expression of a table's columns, and how."""

    table: str
    text: str
    operator: str
    is_bare: bool  # the parameter is the whole other side, not an argument of something there
    is_left: bool = True


class Sample(msgspec.Struct, frozen=True):
    """Where values come from: rows of a table, of a large one those of some pages, as far as row-level security lets
    the workload's role see them (`allowed`, a condition by table).
    """

    tables: Tables
    allowed: dict[str, str]

    def of(self, place: str) -> str:
        """The table and what follows it in FROM."""
        known = self.tables.by_place.get(place)
        percent = min(100.0, 100 * _SAMPLE_BYTES / max(1, known.bytes if known else 0))
        part = f" tablesample system ({percent:.4f}) repeatable (1)" if percent < 100 else ""
        return f"{place}{part}" + (f" where {self.allowed[place]}" if place in self.allowed else "")


def preparable(text: str) -> str:
    """A statement of pg_stat_statements as PREPARE takes it."""
    return _TYPED_LITERAL.sub(r"\2::\1", text)


async def example_values(
    connection: Connection, asked: Asked, types: Sequence[str], sample: Sample, text: str
) -> tuple[list[Values], list[str]]:
    """Up to three lists of values for a statement whose parameters have these types; one empty list without any.

    The second result says which values are not from rows that are there. Raises UnboundError.
    """
    if not types:
        return [()], []
    subjects = _subjects(asked, types)
    units = _units(text)
    sampled = await _sampled(connection, subjects, types, sample)
    sets, invented = list[Values](), dict[int, str]()
    for rank in range(len(_RANKS)):
        values = list[str | None]()
        for number, kind in enumerate(types, start=1):
            if number in units:
                values.append("day")
            elif number in sampled and await _is(connection, sampled[number][rank], kind):
                values.append(sampled[number][rank])
            else:
                values.append(await _by_type(connection, number, kind))
                if number in subjects:
                    invented[number] = f"${number} is {values[-1]!r}: no row has a value for {subjects[number].text}"
        if values not in sets:
            sets.append(values)
    return sets, list(invented.values())


def _subjects(asked: Asked, types: Sequence[str]) -> dict[int, _Subject]:
    found: dict[int, _Subject] = {}
    trees = [*asked.clauses, *(item for items in asked.orders for item in items)]
    for operation in (node for tree in trees for node in of_kind(tree, "A_Expr")):
        for pair in _pairs(operation):
            for left, (side, other) in ((True, pair), (False, pair[::-1])):
                columns = columns_in(side)
                places = {asked.tables.get(alias, "") for alias, _ in columns}
                if len(places) != 1 or "" in places or columns_in(other):
                    continue
                subject = expression_text(_bound(side, types))
                for node in of_kind(other, "ParamRef"):
                    if 0 < node.number <= len(types) and (
                        types[node.number - 1] != "interval" or other.WhichOneof("node") == "param_ref"
                    ):
                        found.setdefault(
                            node.number,
                            _Subject(
                                places.pop() if len(places) > 1 else next(iter(places)),
                                subject,
                                operation.name[-1].string.sval,
                                _is_bare(other),
                                left,
                            ),
                        )
    return found


def _pairs(operation: Node) -> list[tuple[Node, Node]]:
    left, right = operation.lexpr, operation.rexpr
    if left.WhichOneof("node") == right.WhichOneof("node") == "row_expr":
        return list(zip(left.row_expr.args, right.row_expr.args, strict=False))
    return [(left, right)]


def _is_bare(node: Node) -> bool:
    return node.WhichOneof("node") == "param_ref" or (
        node.WhichOneof("node") == "type_cast" and _is_bare(node.type_cast.arg)
    )


def _bound(side: Node, types: Sequence[str]) -> Node:
    """The subject without aliases. A parameter in it that is the key of a document is one that the documents have, any
    other has the value of its type.
    """
    copy = _expression(unqualified(side))
    for node in list(of_kind(copy, "A_Expr")):
        if node.rexpr.WhichOneof("node") == "param_ref" and node.name[-1].string.sval in _KEYS:
            text = _of_key(expression_text(node.lexpr), node.name[-1].string.sval)
            node.rexpr.CopyFrom(_expression(text))
    for node in list(descendants(copy)):
        if node.DESCRIPTOR.name == "Node" and node.WhichOneof("node") == "param_ref":
            kind = types[node.param_ref.number - 1] if 0 < node.param_ref.number <= len(types) else "text"
            node.CopyFrom(_expression(f"'{_BY_TYPE.get(kind, 'x')}'::{kind}"))
    return copy


def _expression(text: str) -> Node:
    return parse(f"select {text}").stmts[0].stmt.select_stmt.target_list[0].res_target.val


def _of_key(document: str, operator: str) -> str:
    key = f"(select min(k) from jsonb_object_keys({_object(f'to_jsonb({document})')}) k)"
    return f"array[{key}]" if operator in ("#>", "#>>", "?|", "?&") else key


def _object(document: str) -> str:
    """The document, or an empty one where it has no keys."""
    return f"case jsonb_typeof({document}) when 'object' then {document} else '{{}}' end"


def _value_of(subject: _Subject, kind: str, own: str) -> str:
    """The SQL of a value for the parameter, from the subject's own in a row."""
    text, op = subject.text, subject.operator
    if op in _KEYS and subject.is_left:
        return _of_key(text, op)
    if op in _PATTERNS and subject.is_left:
        word = f"substring(regexp_replace({text}::text, '[%_.\\\\()\\[\\]*+?|^$]+', '', 'g')"
        pattern = {"~~": f"{word}, 1, 6) || '%'", "~": f"'^' || {word}, 1, 6)"}
        whole = {"~~*": f"'%' || right({word}, 1, 8), 6) || '%'", "~*": f"right({word}, 1, 8), 6)"}
        return (pattern | whole)[op] if subject.is_bare else f"{word}, 1, 6)"
    if own == "tsvector" and op == "@@":
        return f"(tsvector_to_array({text}))[1]"
    if own == "jsonb" and op in _ARRAYS:
        element = "jsonb_build_object(e.key, e.value)"
        return f"(select {element}::text from jsonb_each({_object(text)}) e limit 1)"
    if own.endswith("[]") and op in _ARRAYS:
        return f"({text})[1:1]" if kind.endswith("[]") else f"({text})[1]"
    if own.endswith("[]"):
        return f"({text})[1]"
    if own.endswith("range") and not kind.endswith("range"):
        return f"lower({text})"
    return f"array[{text}]" if kind.endswith("[]") else text


async def _sampled(
    connection: Connection, subjects: dict[int, _Subject], types: Sequence[str], sample: Sample
) -> dict[int, list[str | None]]:
    found: dict[int, list[str | None]] = {}
    for place in {subject.table for subject in subjects.values()}:
        mine = {number: subject for number, subject in subjects.items() if subject.table == place}
        pieces = {}
        for number, subject in mine.items():
            own = await _own_type(connection, place, subject.text)
            pieces[number] = f"({_value_of(subject, types[number - 1], own)})"
        found |= await _of_rows(connection, place, mine, pieces, sample)
    return found


async def _own_type(connection: Connection, place: str, text: str) -> str:
    try:
        async with connection.transaction():
            return str(
                await connection.fetchval(
                    f"select pg_typeof({text})::text from (select) one left join {place} on false"
                )
            )
    except asyncpg.PostgresError:
        return ""


async def _of_rows(
    connection: Connection, place: str, mine: dict[int, _Subject], pieces: dict[int, str], sample: Sample
) -> dict[int, list[str | None]]:
    """Values of the same rows; for a range the ends of what is there, since what is asked for is recent as a rule."""
    rows_of = sample.of(place)
    ranges = [number for number in pieces if mine[number].operator in _RANGES]
    equal = [number for number in pieces if number not in ranges]
    found: dict[int, list[str | None]] = {}
    for place_in_list, number in enumerate(ranges):
        above = (mine[number].operator in (">", ">=")) == mine[number].is_left
        share = 0.99 if above and not place_in_list else 1.0
        ends = (
            f"select (percentile_disc({share}) within group (order by v))::text "
            f"from (select {pieces[number]} as v from {rows_of} limit {_SAMPLE_ROWS}) s"
        )
        found[number] = [await _first(connection, ends)] * len(_RANKS)
    if equal:
        columns = ", ".join(f"({pieces[number]})::text as v{number}" for number in equal)
        known = " and ".join(f"v{number} is not null" for number in equal)
        text = f"""
        with s as (select * from (select {columns} from {rows_of} limit {_SAMPLE_ROWS}) r where {known}),
          f as (select v{equal[0]} as v, row_number() over (order by count(*) desc, v{equal[0]}) - 1 as place,
            count(*) over () as n from s group by v{equal[0]})
        select distinct on (f.place) s.* from s join f on f.v = s.v{equal[0]}
        where f.place in ({", ".join(f"floor((n - 1) * {rank})" for rank in _RANKS)}) order by f.place"""
        try:
            async with connection.transaction():
                rows = await connection.fetch(text)
        except asyncpg.PostgresError:
            rows = []
        for number in equal if rows else ():
            found[number] = [rows[min(rank, len(rows) - 1)][f"v{number}"] for rank in range(len(_RANKS))]
        if not rows and len(equal) > 1:  # no row has all of them
            for number in equal:
                found |= await _of_rows(connection, place, mine, {number: pieces[number]}, sample)
    return found


async def _first(connection: Connection, text: str) -> str | None:
    try:
        async with connection.transaction():
            value = await connection.fetchval(text)
            return None if value is None else str(value)
    except asyncpg.PostgresError:
        return None


async def _is(connection: Connection, value: str | None, kind: str) -> bool:
    """Whether a text is a value of this type."""
    if value is None:
        return False
    try:
        async with connection.transaction():
            await connection.fetchval(f"select ($1::text)::{kind} is null", value)
    except asyncpg.PostgresError:
        return False
    return True


async def _by_type(connection: Connection, number: int, kind: str) -> str:
    quoted_kind = "'" + kind.replace("'", "''") + "'"
    first = f"select enumlabel from pg_enum where enumtypid = {quoted_kind}::regtype order by enumsortorder"
    label = await _first(connection, first)
    guesses = () if kind.startswith("reg") else ("empty", "50", "x", "")
    for value in (label, "{}" if kind.endswith("[]") else _BY_TYPE.get(kind), *guesses):
        if value is not None and await _is(connection, value, kind):
            return str(value)
    raise UnboundError(f"no value is known for its parameter ${number} of type {kind}")


def _units(text: str) -> set[int]:
    """Parameters of date_trunc and extract that name a unit of time."""
    calls = [
        call
        for call in of_kind(parse(text), "FuncCall")
        if call.funcname[-1].string.sval in ("date_trunc", "date_part", "extract")
    ]
    return {node.number for call in calls for node in of_kind(call.args[0], "ParamRef")}
