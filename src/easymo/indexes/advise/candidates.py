"""Indexes that might serve a query: equalities, order and bounds as keys, constants as predicate, the rest included.

For what a B-tree cannot answer the catalogue says which methods and operator classes know the operator for the type.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from easymo.indexes.advise import judgement
from easymo.indexes.asked import Asked
from easymo.indexes.conditions import Condition, Operator, alternatives, columns_in, comparison, conditions, unqualified
from easymo.indexes.definitions import MAX_NAME_BYTES, Definition, parse_definition
from easymo.indexes.observed import Connection, quoted
from easymo.indexes.parser import Node, enum_name, of_kind
from easymo.indexes.tables import CopiedTable

_COLUMNS = """
select a.attname as name, coalesce(s.n_distinct, -1) as distinct_values, coalesce(s.avg_width, 8) as width,
  coalesce(s.null_frac, 0) as null_ratio, coalesce(s.correlation, 0) as correlation,
  array_remove(array[format_type(b.oid, null), case b.typcategory when 'A' then 'anyarray' when 'R' then 'anyrange'
    when 'E' then 'anyenum' end] || array(select format_type(casttarget, null) from pg_cast
      where castsource = b.oid and castmethod = 'b' and castcontext = 'i'), null) as types
from pg_attribute a join pg_type t on t.oid = a.atttypid
  join pg_type b on b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
  left join lateral (select * from pg_stats s where s.schemaname = $1 and s.tablename = $2 and s.attname = a.attname
    order by inherited desc limit 1) s on true
where a.attrelid = $3 and a.attnum > 0 and not a.attisdropped
"""
# Each operator once more by its commutator: of `q @@ tsv` the column is what stands on the right.
_CLASSES = """
select distinct o.oprname as operator, m.amname as method, format_type(c.opcintype, null) as type,
  a.amoppurpose = 'o' as orders, case when c.opcdefault then '' when pg_opclass_is_visible(c.oid) then c.opcname
    else quote_ident(n.nspname) || '.' || quote_ident(c.opcname) end as class
from pg_amop a join pg_opclass c on c.opcfamily = a.amopfamily and c.opcintype = a.amoplefttype
  join pg_am m on m.oid = c.opcmethod join pg_namespace n on n.oid = c.opcnamespace
  join pg_operator p on p.oid = a.amopopr join pg_operator o on o.oid in (p.oid, p.oprcom)
where m.amname not in ('btree', 'hash', 'brin', 'ivfflat')
"""
_COMPARISONS = {"=", "<", "<=", ">", ">="}
_PREFIXES, _NETWORKS = {"~~", "~", "^@"}, {"<<", "<<=", ">>", ">>="}  # the planner turns them into ranges of a B-tree
_PREFIX_CLASS = " text_pattern_ops"
_TEXTS = {"text", "character varying", "character"}


class Column(msgspec.Struct, frozen=True):
    """Statistics of a column: values as pg_stats counts them (negative: share of the rows), mean width, nulls.

    `types` are those that an operator class may be for, its own first.
    """

    distinct: float = -1.0
    width: int = 8
    null_ratio: float = 0.0
    correlation: float = 0.0
    types: list[str] = []


class OperatorClass(msgspec.Struct, frozen=True):
    """That an index method knows an operator for a type. `name` is empty for the default class."""

    operator: str
    method: str
    type: str
    name: str
    orders: bool


class Catalogue(msgspec.Struct, frozen=True):
    """Columns by table, and what index methods can do with their types."""

    columns: Mapping[str, Mapping[str, Column]]
    classes: Sequence[OperatorClass] = ()


async def read_catalogue(connection: Connection, tables: Sequence[CopiedTable]) -> Catalogue:
    """Columns of the tables with their statistics, and the operator classes of this database."""
    columns = {
        table.place: {
            row["name"]: Column(
                row["distinct_values"], row["width"], row["null_ratio"], row["correlation"], row["types"]
            )
            for row in await connection.fetch(_COLUMNS, table.schema, table.name, table.oid)
        }
        for table in tables
    }
    classes = [
        OperatorClass(row["operator"], row["method"], row["type"], row["class"], row["orders"])
        for row in await connection.fetch(_CLASSES)
    ]
    return Catalogue(columns, classes)


class Candidate(msgspec.Struct, frozen=True):
    """An index that is not there yet. `keys` are columns or expressions as they stand in CREATE INDEX.

    `table` has its schema before it. `method` is empty for a B-tree.
    """

    table: str
    keys: tuple[str, ...]
    predicate: str = ""
    include: tuple[str, ...] = ()
    method: str = ""

    @property
    def name(self) -> str:
        """Table and columns; what would be too long or ambiguous ends in a hash."""
        table = re.sub(r"\W+", "_", self.table.removeprefix("public.").lower()).strip("_")
        words = "_".join([table, *(re.sub(r"\W+", "_", key).strip("_") for key in self.keys)])
        is_plain = not self.predicate and not self.include and not self.method
        if is_plain and len(words.encode()) + 4 <= MAX_NAME_BYTES and words.islower():
            return f"idx_{words}"
        parts = (self.table, self.keys, self.predicate, self.include, self.method)
        tail = hashlib.sha256(repr(parts).encode()).hexdigest()[:4]
        return f"idx_{words.lower().encode()[: MAX_NAME_BYTES - 9].decode(errors='ignore')}_{tail}"

    @property
    def qualified(self) -> str:
        """The name of the built index, with its schema."""
        return f"{quoted(self.definition.schema)}.{quoted(self.name)}"

    @property
    def statement(self) -> str:
        """CREATE INDEX CONCURRENTLY, on one line."""
        table = f"{self.table}{f' using {self.method}' if self.method else ''}"
        text = f"create index concurrently {quoted(self.name)} on {table} ({', '.join(self.keys)})"
        text += f" include ({', '.join(self.include)})" if self.include else ""
        return text + (f" where {self.predicate}" if self.predicate else "")

    @property
    def definition(self) -> Definition:
        return parse_definition(self.statement)

    @property
    def has_expressions(self) -> bool:
        """Whether it has statistics of its own, which ANALYZE has to count."""
        return any(key.startswith("(") for key in self.keys)


def candidates(asked: Asked, catalogue: Catalogue) -> set[Candidate]:
    """Candidates for one query on the tables of the catalogue."""
    return {candidate for of_table in _by_table(asked, catalogue) for candidate in of_table.candidates()}


def together(asked: Asked, catalogue: Catalogue) -> set[tuple[Candidate, ...]]:
    """Groups of candidates for one query of which each is useless without the others."""
    return {group for of_table in _by_table(asked, catalogue) for group in of_table.together()}


def _by_table(asked: Asked, catalogue: Catalogue) -> list["_OfTable"]:
    return [
        _OfTable(asked, table, catalogue) for table in sorted(set(asked.tables.values()) & catalogue.columns.keys())
    ]


class _OfTable:
    """What a query asks of one table."""

    def __init__(self, asked: Asked, table: str, catalogue: Catalogue) -> None:
        self._table, self._names, self._classes = table, asked.tables, catalogue.classes
        self._columns, self._query = catalogue.columns[table], asked
        found = [c for clause in asked.clauses for c in conditions(clause) if self._mine(c.relation, c.column)]
        self._constants = [c for c in found if c.is_constant and self._few_values(c)]
        self._equal = self._ordered(c for c in found if c.pins and c.operator not in (Operator.JOIN, Operator.IS_NULL))
        self._joined = _unique(quoted(c.column) for c in found if c.operator is Operator.JOIN)
        self._operations = list(self._compared())
        self._bounds = _unique(quoted(c.column) for c in found if c.operator is Operator.RANGE)
        self._bounds += _unique(
            key for text, op, _, begins in self._operations if begins for key in self._prefix_keys(text, op)
        )
        self._ors = [arms for clause in asked.clauses for arms in alternatives(clause)]
        self._arms = [c for arms in self._ors for arm in arms for c in conditions(arm)]
        expressions = [(text, op) for text, _, op, _ in self._operations if text.startswith("(")]
        self._expressions = _unique(text for text, op in expressions if op in (Operator.EQUAL, Operator.IN))
        self._bounds += _unique(text for text, op in expressions if op is Operator.RANGE)
        self._rows = [keys for clause in asked.clauses for keys in self._row_bounds(clause)]
        self._sorts = [keys for items in asked.orders if (keys := self._sorted_by(items))] or [[]]
        self._groups = [keys for items in asked.groups if (keys := self._grouped_by(items))] or [[]]

    def candidates(self) -> Iterator[Candidate]:
        """Key lists, each whole, as a partial index, and with what the query reads besides."""
        pinned = {quoted(c.column) for c in self._constants if c.pins}
        predicate = " and ".join(sorted({c.text for c in self._constants}))
        yield from self._by_other_methods(predicate)
        for keys in self._key_lists():
            yield from self._shapes(keys, "")
            if self._is_sparse(keys[0]):
                yield from self._shapes(keys, f"{keys[0].removesuffix(_PREFIX_CLASS)} is not null")
            rest = [key for key in keys if key not in pinned]
            if predicate and rest:
                yield from self._shapes(rest, predicate)
        if pinned:
            # Where the predicate says it all, any key will do, but one that it holds to a single value.
            keys = [
                c for c in sorted(pinned) if any(len(d.literals) > 1 for d in self._constants if quoted(d.column) == c)
            ]
            yield from self._shapes(keys or [quoted(next(iter(self._columns)))], predicate)
            yield from self._shapes(sorted(pinned), "")
        for constant in self._constants:  # a predicate that needs no second condition serves more queries
            for keys in (*self._sorts, self._bounds[:1], *self._groups):
                if keys and quoted(constant.column) not in keys:
                    yield from self._shapes(keys, constant.text)
        for condition in self._arms:
            if self._mine(condition.relation, condition.column) and condition.pins:
                yield from self._shapes([quoted(condition.column)], "")

    def together(self) -> Iterator[tuple[Candidate, ...]]:
        """For each OR an index for every arm: without one of them the others are of no use."""
        for arms in self._ors:
            keys = [next(iter(self._keys_of(arm)), "") for arm in arms]
            if all(keys) and len(set(keys)) > 1:
                yield tuple(Candidate(self._table, (key,)) for key in _unique(keys))

    def _keys_of(self, arm: Node) -> list[str]:
        asked = [c for c in conditions(arm) if self._mine(c.relation, c.column)]
        pinned = self._ordered(c for c in asked if c.pins and c.operator is not Operator.JOIN)
        return pinned + _unique(quoted(c.column) for c in asked if c.operator is Operator.RANGE)

    def _key_lists(self) -> Iterator[list[str]]:
        equal = self._expressions + self._equal
        bases = [equal, self._joined, self._joined + equal, []]
        bases += [[key] for key in equal + self._joined]
        tails = [[], self._bounds[:1], *([bound] for bound in self._bounds[1:]), *self._rows, *self._groups]
        tails += [tail for sort in self._sorts for tail in (sort, self._bounds[:1] + sort)]
        for base in bases:
            for tail in tails:
                if keys := _unique([*base, *tail]):
                    yield keys

    def _shapes(self, keys: list[str], predicate: str) -> Iterator[Candidate]:
        kept = tuple(keys[: judgement.MAX_KEYS])
        yield Candidate(self._table, kept, predicate)
        included = tuple(sorted(self._read() - {key.partition(" ")[0] for key in kept}))
        width = sum(self._columns[name.strip('"')].width for name in included)
        if 0 < len(included) <= judgement.MAX_INCLUDED and width <= judgement.MAX_INCLUDED_WIDTH:
            yield Candidate(self._table, kept, predicate, included)

    def _by_other_methods(self, predicate: str) -> Iterator[Candidate]:
        orders = [(key, name) for items in self._query.orders for key, name in self._distances(items)]
        found = [(key, name, False) for key, name, *_ in self._operations] + [(key, name, True) for key, name in orders]
        for key, operator, ordering in found:
            column = self._columns.get(key.strip('"'))
            if operator in _COMPARISONS:
                if column and operator == "=" and column.width >= judgement.WIDE_BYTES:
                    yield Candidate(self._table, (key,), method="hash")
                if column and operator != "=" and abs(column.correlation) >= judgement.ORDERED:
                    yield Candidate(self._table, (key,), method="brin")
                continue
            for known in self._usable(column, operator, ordering):
                keys = [f"{key} {known.name}".strip()]
                for limit in {"", predicate}:
                    yield Candidate(self._table, tuple(keys), limit, method=known.method)
                before = [k for k in self._equal if self._has_equality(k, known.method)]
                if before:  # needs btree_gist or btree_gin
                    yield Candidate(self._table, (*before, *keys), method=known.method)

    def _usable(self, column: Column | None, operator: str, ordering: bool) -> list[OperatorClass]:
        """Of an expression the type is not known here: Postgres refuses what is not for it."""
        types = column.types if column else None
        known = [
            c
            for c in self._classes
            if c.operator == operator and c.orders == ordering and (types is None or c.type in types)
        ]
        # For what both can answer GIN is smaller and faster to read than GiST.
        return [c for c in known if c.method == "gin"] or known

    def _has_equality(self, key: str, method: str) -> bool:
        column = self._columns.get(key.strip('"'))
        return column is not None and any(
            c.operator == "=" and c.method == method and c.type in column.types for c in self._classes
        )

    def _distances(self, items: Sequence[Node]) -> Iterator[tuple[str, str]]:
        """What is sorted by its distance from a value: `order by place <-> $1`."""
        for item in items[:1]:
            for node in of_kind(item, "A_Expr"):
                for side, other in ((node.lexpr, node.rexpr), (node.rexpr, node.lexpr)):
                    if not columns_in(other) and (key := self._key(side)):
                        yield key, node.name[-1].string.sval

    def _prefix_keys(self, key: str, operator: str) -> list[str]:
        column = self._columns.get(key.strip('"'))
        if operator in _PREFIXES and (column is None or _TEXTS & set(column.types)):
            return [f"{key}{_PREFIX_CLASS}"]
        return [key] if operator in _NETWORKS and column and {"inet", "cidr"} & set(column.types) else []

    def _row_bounds(self, clause: Node) -> Iterator[list[str]]:
        """Keys of a comparison of rows, as in `(at, id) < ($1, $2)`."""
        for node in of_kind(clause, "A_Expr"):
            if node.lexpr.WhichOneof("node") == "row_expr" and node.name[-1].string.sval in _COMPARISONS - {"="}:
                keys = [self._key(argument) for argument in node.lexpr.row_expr.args]
                if all(keys):
                    yield keys

    def _read(self) -> set[str]:
        """Columns of this table that the query needs."""
        return {
            quoted(column)
            for alias, columns in self._query.reads.items()
            for column in columns
            if self._mine(alias, column)
        }

    def _mine(self, relation: str, column: str) -> bool:
        return self._names.get(relation) == self._table and column in self._columns

    def _few_values(self, condition: Condition) -> bool:
        """Whether a constant is likely to be one of a few that the program always asks for, and so a predicate."""
        if condition.operator in (Operator.IS_NULL, Operator.IS_NOT_NULL, Operator.TRUTH):
            return True
        few = 0 < self._columns[condition.column].distinct <= judgement.FEW_VALUES
        return condition.operator in (Operator.EQUAL, Operator.UNEQUAL, Operator.IN) and few

    def _ordered(self, found: Iterable[Condition]) -> list[str]:
        """Columns with the most different values first."""
        return _unique(quoted(c.column) for c in sorted(found, key=lambda c: self._rank(self._columns[c.column])))

    @staticmethod
    def _rank(column: Column) -> tuple[bool, float]:
        return column.distinct > 0, -abs(column.distinct)

    def _sorted_by(self, items: Sequence[Node]) -> list[str]:
        """The part of an order that is this table's; one direction for all needs none: an index is read both ways."""
        found: list[tuple[str, bool, str]] = []
        for item in items:
            node = item.sort_by
            key = self._key(node.node)
            if not key or (key.startswith("(") and self._is_distance(node.node)):
                break
            nulls = {"SORTBY_NULLS_FIRST": " nulls first", "SORTBY_NULLS_LAST": " nulls last"}
            direction = enum_name(node, "sortby_dir") == "SORTBY_DESC"
            found.append((key, direction, nulls.get(enum_name(node, "sortby_nulls"), "")))
        if len({direction for _, direction, _ in found}) < 2 and not any(nulls for *_, nulls in found):
            return [key for key, *_ in found]
        return [f"{key}{' desc' if direction else ''}{nulls}" for key, direction, nulls in found]

    def _is_distance(self, node: Node) -> bool:
        names = {operation.name[-1].string.sval for operation in of_kind(node, "A_Expr")}
        return any(c.orders and c.operator in names for c in self._classes)

    def _grouped_by(self, items: Sequence[Node]) -> list[str]:
        keys = [self._key(item.sort_by.node) for item in items]
        return _unique(key for key in keys if key and not key.startswith("("))

    def _is_sparse(self, key: str) -> bool:
        """Whether a compared key may be null in most rows; of an expression only the copy will tell."""
        column = self._columns.get(key.strip('"'))
        return key.startswith("(") or (
            column is not None and column.null_ratio >= judgement.SPARSE and key in self._equal + self._bounds
        )

    def _key(self, node: Node) -> str:
        """A column, or an expression of columns of this table alone, as it stands in CREATE INDEX; else empty."""
        inside = columns_in(node)
        if not inside or not all(self._mine(*reference) for reference in inside):
            return ""
        if any(True for kind in ("ParamRef", "SQLValueFunction", "SubLink") for _ in of_kind(node, kind)):
            return ""
        return quoted(inside[0][1]) if node.WhichOneof("node") == "column_ref" else f"({unqualified(node)})"

    def _compared(self) -> Iterator[tuple[str, str, Operator, bool]]:
        """Columns and expressions of this table that are compared with something else, with the operator.

        The last says whether a text compared is known at its beginning.
        """
        for node in (node for clause in self._query.clauses for node in of_kind(clause, "A_Expr")):
            for side, other in ((node.lexpr, node.rexpr), (node.rexpr, node.lexpr)):
                if not any(self._mine(*reference) for reference in columns_in(other)) and (key := self._key(side)):
                    yield key, node.name[-1].string.sval, comparison(node), _begins(node.name[-1].string.sval, other)


def _begins(operator: str, pattern: Node) -> bool:
    """Whether what matches a pattern has a known beginning; of a parameter it may have one."""
    literal = next((constant.sval.sval for constant in of_kind(pattern, "A_Const")), None)
    if literal is None or operator not in ("~~", "~"):
        return True
    return bool(literal.startswith("^") if operator == "~" else not literal.startswith(("%", "_")))


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
