"""Indexes that might serve a query: equalities, order and bounds as keys, constants as predicate, the rest included.

What is asked of arrays, JSON and texts, and patterns, is a GIN index.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from easymo.indexes.conditions import (
    Condition,
    Operator,
    alternatives,
    columns_in,
    comparison,
    conditions,
    unqualified,
)
from easymo.indexes.definitions import MAX_NAME_BYTES, Definition, parse_definition
from easymo.indexes.hotqueries import HotQuery, clauses, relations
from easymo.indexes.observed import quote
from easymo.indexes.parser import Node, enum_name, of_kind

_FEW_VALUES = 50
_MAX_KEYS, _MAX_INCLUDED, _MAX_INCLUDED_WIDTH = 4, 5, 64
_SPARSE = 0.5  # of the rows are null: an index without them is much smaller, and no comparison misses them
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


class Column(msgspec.Struct, frozen=True):
    """Statistics of a column: values as pg_stats counts them (negative: share of the rows), mean width, nulls."""

    distinct: float = -1.0
    width: int = 8
    null_ratio: float = 0.0


Catalogue = Mapping[str, Mapping[str, Column]]


class Candidate(msgspec.Struct, frozen=True):
    """An index that is not there yet. `keys` are columns or expressions as they stand in CREATE INDEX."""

    table: str
    keys: tuple[str, ...]
    predicate: str = ""
    include: tuple[str, ...] = ()
    gin: bool = False

    @property
    def name(self) -> str:
        """Table and columns; what would be too long or ambiguous ends in a hash."""
        words = "_".join([self.table, *(re.sub(r"\W+", "_", key).strip("_") for key in self.keys)])
        is_plain = not self.predicate and not self.include and not self.gin
        if is_plain and len(words.encode()) + 4 <= MAX_NAME_BYTES:
            return f"idx_{words}"
        told = (self.keys, self.predicate, self.include, *(["gin"] if self.gin else ()))
        tail = hashlib.sha256(repr(told).encode()).hexdigest()[:4]
        return f"idx_{words.encode()[: MAX_NAME_BYTES - 9].decode(errors='ignore')}_{tail}"

    @property
    def statement(self) -> str:
        """CREATE INDEX CONCURRENTLY, on one line."""
        table = f"{_quoted(self.table)}{' using gin' if self.gin else ''}"
        text = f"create index concurrently {_quoted(self.name)} on {table} ({', '.join(self.keys)})"
        text += f" include ({', '.join(self.include)})" if self.include else ""
        return text + (f" where {self.predicate}" if self.predicate else "")

    @property
    def definition(self) -> Definition:
        return parse_definition(self.statement)

    @property
    def has_expressions(self) -> bool:
        """Whether it has statistics of its own, which ANALYZE has to count."""
        return any(key.startswith("(") for key in self.keys)


def candidates(query: HotQuery, catalogue: Catalogue) -> set[Candidate]:
    """Candidates for one query on the tables of the catalogue."""
    return {candidate for asked in _asked(query, catalogue) for candidate in asked.candidates()}


def together(query: HotQuery, catalogue: Catalogue) -> set[tuple[Candidate, ...]]:
    """Groups of candidates for one query of which each is useless without the others."""
    return {group for asked in _asked(query, catalogue) for group in asked.together()}


def _asked(query: HotQuery, catalogue: Catalogue) -> list["_Asked"]:
    names = {alias: table for alias, table in relations(query.statement).items() if table in catalogue}
    return [_Asked(query, table, names, catalogue) for table in sorted(set(names.values()))]


class _Asked:
    """What a query asks of one table."""

    def __init__(self, query: HotQuery, table: str, names: Mapping[str, str], catalogue: Catalogue) -> None:
        self._table, self._names, self._catalogue = table, names, catalogue
        self._columns = catalogue[table]
        self._statement = query.statement
        where = list(clauses(self._statement))
        asked = [c for clause in where for c in conditions(clause) if self._mine(c.relation, c.column)]
        self._constants = [c for c in asked if c.is_constant and self._few_values(c)]
        self._equal = self._ordered(c for c in asked if c.pins and c.operator not in (Operator.JOIN, Operator.IS_NULL))
        self._joined = _unique(_quoted(c.column) for c in asked if c.operator is Operator.JOIN)
        self._bounds = _unique(_quoted(c.column) for c in asked if c.operator is Operator.RANGE)
        self._bounds += _unique(f"{_quoted(c.column)} text_pattern_ops" for c in asked if _has_prefix(c))
        self._ors = [arms for clause in where for arms in alternatives(clause)]
        self._arms = [c for arms in self._ors for arm in arms for c in conditions(arm)]
        self._expressions = list(self._compared_expressions(where))
        self._contained = _unique(key for c in asked for key in _gin_keys(c.operator, _quoted(c.column)))
        self._contained += _unique(key for text, op in self._expressions for key in _gin_keys(op, text))
        self._bounds += _unique(text for text, operator in self._expressions if operator is Operator.RANGE)
        self._sort, self._group = self._sorted_by(), self._grouped_by()

    def candidates(self) -> Iterator[Candidate]:
        """Key lists, each whole, as a partial index, and with what the query reads besides."""
        pinned = {_quoted(c.column) for c in self._constants if c.pins}
        predicate = " and ".join(sorted({c.text for c in self._constants}))
        for key in self._contained:
            for limit in {"", predicate}:
                yield Candidate(self._table, (key,), limit, gin=True)
        for keys in self._key_lists():
            yield from self._shapes(keys, "")
            if self._is_sparse(keys[0]):
                yield from self._shapes(keys, f"{keys[0]} is not null")
            rest = [key for key in keys if key not in pinned]
            if predicate and rest:
                yield from self._shapes(rest, predicate)
        if pinned:
            # Where the predicate says it all, any key will do, but one that it holds to a single value.
            keys = [c for c in sorted(pinned) if any(len(d.literals) > 1 for d in self._constants if d.column == c)]
            yield from self._shapes(keys or [_quoted(next(iter(self._columns)))], predicate)
            yield from self._shapes(sorted(pinned), "")
        for constant in self._constants:  # a predicate that needs no second condition serves more queries
            for keys in (self._sort, self._bounds[:1], self._group):
                if keys and _quoted(constant.column) not in keys:
                    yield from self._shapes(keys, constant.text)
        for condition in self._arms:
            if self._mine(condition.relation, condition.column) and condition.pins:
                yield from self._shapes([_quoted(condition.column)], "")

    def together(self) -> Iterator[tuple[Candidate, ...]]:
        """For each OR an index for every arm: without one of them the others are of no use."""
        for arms in self._ors:
            keys = [next(iter(self._keys_of(arm)), "") for arm in arms]
            if all(keys) and len(set(keys)) > 1:
                yield tuple(Candidate(self._table, (key,)) for key in _unique(keys))

    def _keys_of(self, arm: Node) -> list[str]:
        asked = [c for c in conditions(arm) if self._mine(c.relation, c.column)]
        pinned = self._ordered(c for c in asked if c.pins and c.operator is not Operator.JOIN)
        return pinned + _unique(_quoted(c.column) for c in asked if c.operator is Operator.RANGE)

    def _key_lists(self) -> Iterator[list[str]]:
        equal = _unique(text for text, operator in self._expressions if operator is Operator.EQUAL) + self._equal
        bases = [equal, self._joined, self._joined + equal, []]
        bases += [[key] for key in equal + self._joined]
        for base in bases:
            for tail in (self._sort, self._bounds[:1], self._group, self._bounds[:1] + self._sort, []):
                keys = _unique([*base, *tail])
                if keys:
                    yield keys

    def _shapes(self, keys: list[str], predicate: str) -> Iterator[Candidate]:
        kept = tuple(keys[:_MAX_KEYS])
        yield Candidate(self._table, kept, predicate)
        included = tuple(sorted(self._read() - {key.partition(" ")[0] for key in kept}))
        width = sum(self._columns[name.strip('"')].width for name in included)
        if 0 < len(included) <= _MAX_INCLUDED and width <= _MAX_INCLUDED_WIDTH:
            yield Candidate(self._table, kept, predicate, included)

    def _read(self) -> set[str]:
        """Columns of this table that the query names; all of them, too many to include, for `*`."""
        if any(field.HasField("a_star") for node in of_kind(self._statement, "ColumnRef") for field in node.fields):
            return {_quoted(name) for name in self._columns}
        return {_quoted(column) for relation, column in columns_in(self._statement) if self._mine(relation, column)}

    def _mine(self, relation: str, column: str) -> bool:
        if column not in self._columns:
            return False
        if relation:
            return self._names.get(relation) == self._table
        return sum(column in self._catalogue[table] for table in set(self._names.values())) == 1

    def _few_values(self, condition: Condition) -> bool:
        """Whether a constant is likely to be one of a few that the program always asks for, and so a predicate."""
        if condition.operator in (Operator.IS_NULL, Operator.IS_NOT_NULL, Operator.TRUTH):
            return True
        return condition.operator is not Operator.RANGE and 0 < self._columns[condition.column].distinct <= _FEW_VALUES

    def _ordered(self, found: Iterable[Condition]) -> list[str]:
        """Columns with the most different values first."""
        return _unique(_quoted(c.column) for c in sorted(found, key=lambda c: self._rank(self._columns[c.column])))

    @staticmethod
    def _rank(column: Column) -> tuple[bool, float]:
        return column.distinct > 0, -abs(column.distinct)

    def _sorted_by(self) -> list[str]:
        """ORDER BY of this table's columns; one direction for all needs none, since an index is read both ways."""
        found: list[tuple[str, bool, str]] = []
        for select in of_kind(self._statement, "SelectStmt"):
            for item in select.sort_clause:
                node = item.sort_by
                for relation, column in columns_in(node.node):
                    if not self._mine(relation, column) or node.node.WhichOneof("node") != "column_ref":
                        return [key for key, *_ in found]
                    nulls = {"SORTBY_NULLS_FIRST": " nulls first", "SORTBY_NULLS_LAST": " nulls last"}
                    direction = enum_name(node, "sortby_dir") == "SORTBY_DESC"
                    found.append((_quoted(column), direction, nulls.get(enum_name(node, "sortby_nulls"), "")))
        if len({direction for _, direction, _ in found}) < 2 and not any(nulls for *_, nulls in found):
            return [key for key, *_ in found]
        return [f"{key}{' desc' if direction else ''}{nulls}" for key, direction, nulls in found]

    def _grouped_by(self) -> list[str]:
        nodes = [item for select in of_kind(self._statement, "SelectStmt") for item in select.group_clause]
        return _unique(
            _quoted(column)
            for node in nodes
            if node.WhichOneof("node") == "column_ref"
            for relation, column in columns_in(node)
            if self._mine(relation, column)
        )

    def _is_sparse(self, key: str) -> bool:
        """Whether a compared key may be null in most rows; of an expression only the copy will tell."""
        column = self._columns.get(key.strip('"'))
        return key.startswith("(") or (
            column is not None and column.null_ratio >= _SPARSE and key in self._equal + self._bounds
        )

    def _compared_expressions(self, where: Iterable[Node]) -> Iterator[tuple[str, Operator]]:
        """Expressions of this table's columns that are compared with something else, as they stand in CREATE INDEX."""
        for node in (node for clause in where for node in of_kind(clause, "A_Expr")):
            inside, operator = columns_in(node.lexpr), comparison(node)
            if node.lexpr.WhichOneof("node") == "column_ref" or operator is Operator.OTHER:
                continue
            if inside and not columns_in(node.rexpr) and all(self._mine(*reference) for reference in inside):
                yield f"({unqualified(node.lexpr)})", operator


def _gin_keys(operator: Operator, key: str) -> list[str]:
    """Ways to index a key for such a question; Postgres refuses those that are not for its type, or not installed."""
    match operator:
        case Operator.CONTAINS:
            return [key, f"{key} jsonb_path_ops"]
        case Operator.MATCHES | Operator.LIKE:
            return [f"{key} gin_trgm_ops"]
    return []


def _has_prefix(condition: Condition) -> bool:
    return condition.operator is Operator.LIKE and not (condition.literals or "%")[0].startswith(("%", "_"))


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else quote(name)


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
