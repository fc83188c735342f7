"""What a rule is, and what it looks at: tables, indexes and foreign keys as the migration files leave them."""

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import msgspec

from easymo.indexes.definitions import Definition
from easymo.indexes.errors import SqlFileError
from easymo.indexes.hotqueries import HotQuery
from easymo.indexes.runners import Runner
from easymo.indexes.sqlfile import Statement

#: Names in an expression, and its string literals, which are to be left alone.
WORDS = re.compile(r"'(?:[^']|'')*'|[^\W\d]\w*")


class Placed(msgspec.Struct, frozen=True):
    """A statement of a file and who runs it. `in_transaction` says why it runs in one; empty where it does not."""

    path: Path
    statement: Statement
    runner: Runner
    in_transaction: str

    @property
    def outside(self) -> str:
        """How to have this statement run outside a transaction, to be added to an advice."""
        if self.runner.advice:
            return f"for {self.runner.tool}, {self.runner.advice}"
        return "outside BEGIN and COMMIT"

    def seen_from(self, other: "Placed") -> str:
        """Where the statement stands, for a finding at another one."""
        return f"line {self.statement.line}" if self.path == other.path else f"{self.path}:{self.statement.line}"


class Index(msgspec.Struct):
    """An index where it is made: by CREATE INDEX, or by a `constraint` (PRIMARY KEY, UNIQUE).

    `on_new_table`: the same file has made the table, so that nobody waits for it. `after_drop`: the same file has
    dropped an index of that name before.
    """

    definition: Definition
    at: Placed
    constraint: str = ""
    concurrent: bool = False
    if_not_exists: bool = False
    only: bool = False
    on_new_table: bool = False
    after_drop: bool = False
    hides: Definition | None = None

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def words(self) -> set[str]:
        """Every column that the index reads (and the names of functions in its expressions)."""
        keys = " ".join(key.text for key in self.definition.keys)
        return {*WORDS.findall(f"{keys} {self.definition.predicate}"), *self.definition.include}


class ForeignKey(msgspec.Struct):
    """Columns that refer to a row of `parent`; `parent_columns` is empty where the statement means its primary key."""

    name: str
    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    at: Placed


class Table(msgspec.Struct):
    """A table as far as the files say. `checks` holds, by constraint, the values that it leaves a column."""

    partitioned: bool = False
    checks: dict[str, tuple[str, frozenset[str]]] = msgspec.field(default_factory=dict)
    replica_identity: str = ""


class Locking(msgspec.Struct, frozen=True):
    """A DROP INDEX or REINDEX that is not concurrent: `name` is what it names, `table` empty where no file tells."""

    at: Placed
    name: str
    table: str


class History(msgspec.Struct):
    """All files, read in order. `created` are all indexes ever made, `standing` those that are there at the end."""

    hot_queries: list[HotQuery] = msgspec.field(default_factory=list)
    statements: list[Placed] = msgspec.field(default_factory=list)
    faults: list[SqlFileError] = msgspec.field(default_factory=list)
    tables: dict[str, Table] = msgspec.field(default_factory=dict)
    created: list[Index] = msgspec.field(default_factory=list)
    standing: dict[str, Index] = msgspec.field(default_factory=dict)
    foreign_keys: list[ForeignKey] = msgspec.field(default_factory=list)
    drops: list[Locking] = msgspec.field(default_factory=list)
    reindexes: list[Locking] = msgspec.field(default_factory=list)
    functions: set[str] = msgspec.field(default_factory=set)

    @property
    def indexes(self) -> Iterator[Index]:
        """Those that a CREATE INDEX has made, dropped ones too."""
        return (index for index in self.created if index.at.statement.kind == "index_stmt")

    def table(self, name: str) -> Table:
        """What is known of a table."""
        return self.tables.get(name) or Table()

    def by_table(self) -> dict[str, list[Index]]:
        """The standing indexes of each table, oldest first."""
        found: dict[str, list[Index]] = {}
        for index in self.standing.values():
            found.setdefault(index.definition.table, []).append(index)
        return found


class Severity(StrEnum):
    """ERROR: Postgres refuses it, others are blocked, or the index is not the declared one. WARNING: all else."""

    ERROR = "error"
    WARNING = "warning"


#: The statement, what is wrong with it (which lock or harm), and what to do, in the imperative.
Reports: TypeAlias = Iterator[tuple[Placed, str, str]]


class Rule(msgspec.Struct, frozen=True):
    """A rule; its page is docs/reference/index-rules/<slug>.md."""

    slug: str
    severity: Severity
    check: Callable[[History], Reports]


class Finding(msgspec.Struct, frozen=True):
    """What a rule says about one statement. `line` counts from 1; `help` is what to do."""

    rule: str
    severity: Severity
    file: str
    line: int
    message: str
    help: str
