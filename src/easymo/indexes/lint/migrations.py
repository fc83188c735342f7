"""What migration files say about tables and indexes, statement by statement: the ground of all rules."""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from easymo.indexes.conditions import Operator, conditions
from easymo.indexes.definitions import Definition, parse_definition
from easymo.indexes.hotqueries import HotQuery
from easymo.indexes.parser import Node, enum_name, parse
from easymo.indexes.sqlfile import Statement, read_statements


class Severity(StrEnum):
    """ERROR: Postgres refuses it, writers are blocked, or the index is not the declared one. WARNING: all else."""

    ERROR = "error"
    WARNING = "warning"


class Index(msgspec.Struct, frozen=True):
    """A CREATE INDEX where it stands.

    `on_new_table`: the same file has made the table, so that nobody waits for it. `after_drop`: the same file has
    dropped an index of that name before.
    """

    definition: Definition
    path: Path
    statement: Statement
    concurrent: bool
    if_not_exists: bool
    only: bool
    on_new_table: bool
    after_drop: bool

    @property
    def name(self) -> str:
        return self.definition.name


class Unique(msgspec.Struct, frozen=True):
    """A key that finds one row at most: a constraint, or a unique index without a predicate (then `name` is its)."""

    name: str
    columns: tuple[str, ...]


class Table(msgspec.Struct):
    """A table as far as the files say. `allowed` holds the values that a CHECK leaves a column."""

    partitioned: bool = False
    allowed: dict[str, frozenset[str]] = msgspec.field(default_factory=dict)
    uniques: list[Unique] = msgspec.field(default_factory=list)


class Placed(msgspec.Struct, frozen=True):
    """A statement of a file, and whether BEGIN came before it without COMMIT."""

    path: Path
    statement: Statement
    in_transaction: bool


class Migrations(msgspec.Struct):
    """All files, read in order. `indexes` are all that are created, `standing` those that no later statement drops."""

    statements: list[Placed] = msgspec.field(default_factory=list)
    tables: dict[str, Table] = msgspec.field(default_factory=dict)
    indexes: list[Index] = msgspec.field(default_factory=list)
    standing: dict[str, Index] = msgspec.field(default_factory=dict)
    hot_queries: list[HotQuery] = msgspec.field(default_factory=list)

    def pairs(self) -> Iterator[tuple[Index, Index]]:
        """Every two standing indexes of one table, each way round."""
        standing = list(self.standing.values())
        for one in standing:
            for other in standing:
                if one is not other and one.definition.table == other.definition.table:
                    yield one, other


class Report(msgspec.Struct, frozen=True):
    """What a rule found at a statement: which lock or harm, and what to do, in the imperative."""

    path: Path
    statement: Statement
    message: str
    help: str


class Rule(msgspec.Struct, frozen=True):
    """A rule; its page is docs/reference/index-rules/<slug>.md."""

    slug: str
    severity: Severity
    check: Callable[[Migrations], Iterator[Report]]


def read_migrations(paths: Iterable[Path], hot_queries: list[HotQuery]) -> Migrations:
    """Read the files in the order given. Raises SqlFileError."""
    migrations = Migrations(hot_queries=hot_queries)
    for path in paths:
        _File(migrations, path).read()
    return migrations


def key_of(relation: Node) -> str:
    """A table's name, with its schema where that is not public."""
    return (
        f"{relation.schemaname}.{relation.relname}" if relation.schemaname not in ("", "public") else relation.relname
    )


class _File:
    def __init__(self, migrations: Migrations, path: Path) -> None:
        self._migrations, self._path = migrations, path
        self._created, self._dropped = set[str](), set[str]()
        self._in_transaction = False

    def read(self) -> None:
        for statement in read_statements(self._path):
            node = getattr(parse(statement.text).stmts[0].stmt, statement.kind)
            self._migrations.statements.append(Placed(self._path, statement, self._in_transaction))
            match statement.kind:
                case "transaction_stmt":
                    self._in_transaction = enum_name(node, "kind") in ("TRANS_STMT_BEGIN", "TRANS_STMT_START")
                case "create_stmt":
                    self._create_table(node)
                case "create_table_as_stmt":
                    self._created.add(key_of(node.into.rel))
                case "alter_table_stmt":
                    self._alter_table(node)
                case "index_stmt":
                    self._create_index(statement, node)
                case "drop_stmt":
                    self._drop(node)

    def _create_table(self, node: Node) -> None:
        key = key_of(node.relation)
        if not node.if_not_exists or key not in self._migrations.tables:
            self._created.add(key)
        table = self._migrations.tables.setdefault(key, Table())
        table.partitioned = node.HasField("partspec")
        for element in node.table_elts:
            if element.HasField("column_def"):
                self._column(table, key, element.column_def)
            elif element.HasField("constraint"):
                _constraint(table, key, element.constraint)

    def _column(self, table: Table, key: str, column: Node) -> None:
        for constraint in column.constraints:
            _constraint(table, key, constraint.constraint, column.colname)

    def _alter_table(self, node: Node) -> None:
        key = key_of(node.relation)
        table = self._migrations.tables.setdefault(key, Table())
        for command in node.cmds:
            change = getattr(command.alter_table_cmd, "def")
            if change.HasField("constraint"):
                _constraint(table, key, change.constraint)
            elif change.HasField("column_def"):
                self._column(table, key, change.column_def)

    def _create_index(self, statement: Statement, node: Node) -> None:
        definition = parse_definition(statement.text)
        key = key_of(node.relation)
        index = Index(
            definition=msgspec.structs.replace(definition, table=key),
            path=self._path,
            statement=statement,
            concurrent=node.concurrent,
            if_not_exists=node.if_not_exists,
            only=not node.relation.inh,
            on_new_table=key in self._created,
            after_drop=definition.name in self._dropped,
        )
        self._migrations.indexes.append(index)
        self._migrations.standing[index.name or f"unnamed {len(self._migrations.indexes)}"] = index

    def _drop(self, node: Node) -> None:
        names = [item.list.items[-1].string.sval for item in node.objects if item.HasField("list")]
        if enum_name(node, "remove_type") == "OBJECT_INDEX":
            for name in names:
                self._migrations.standing.pop(name, None)
                self._dropped.add(name)
        elif enum_name(node, "remove_type") == "OBJECT_TABLE":
            for name in names:
                self._migrations.tables.pop(name, None)
            standing = self._migrations.standing
            for gone in [name for name, index in standing.items() if index.definition.table in names]:
                del standing[gone]


def _constraint(table: Table, key: str, node: Node, column: str = "") -> None:
    columns = tuple(item.string.sval for item in node.keys) or ((column,) if column else ())
    match enum_name(node, "contype"):
        case "CONSTR_PRIMARY" if columns:
            table.uniques.append(Unique(node.conname or f"the primary key of {key}", columns))
        case "CONSTR_UNIQUE" if columns:
            table.uniques.append(Unique(node.conname or f"unique ({', '.join(columns)})", columns))
        case "CONSTR_CHECK":
            for condition in conditions(node.raw_expr):
                if condition.operator in (Operator.EQUAL, Operator.IN) and condition.literals:
                    table.allowed[condition.column] = frozenset(condition.literals)
