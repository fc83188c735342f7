"""A function of the clock, the session or chance in an index predicate or expression."""

from collections.abc import Iterator

from easymo.indexes.lint.migrations import Migrations, Report, Rule, Severity
from easymo.indexes.parser import Node, of_kind, parse

# Functions that Postgres marks STABLE or VOLATILE whatever their arguments. Those that are immutable for some types
# only, such as date_trunc, need the catalogue: `easymo indexes plan` asks it.
_MUTABLE = {
    "clock_timestamp",
    "current_database",
    "current_schema",
    "current_setting",
    "gen_random_uuid",
    "localtimestamp",
    "nextval",
    "now",
    "random",
    "statement_timestamp",
    "timeofday",
    "transaction_timestamp",
    "txid_current",
    "uuidv7",
}


def check(migrations: Migrations) -> Iterator[Report]:
    for index in migrations.indexes:
        node = parse(index.statement.text).stmts[0].stmt.index_stmt
        for part, where in (("predicate", [node.where_clause]), ("key", list(node.index_params))):
            for name in sorted({name for tree in where for name in _mutable(tree)}):
                yield Report(
                    index.path,
                    index.statement,
                    f"Postgres refuses {index.name}: {name} in its {part} is not IMMUTABLE, since its value changes "
                    "while the index keeps what it was.",
                    "Leave the time bound to the query and put the column that it compares into the key."
                    if part == "predicate"
                    else "Index the column itself, or an expression of columns alone.",
                )


def _mutable(tree: Node) -> Iterator[str]:
    for call in of_kind(tree, "FuncCall"):
        name = call.funcname[-1].string.sval
        if name in _MUTABLE:
            yield f"{name}()"
    for _ in of_kind(tree, "SQLValueFunction"):
        yield "a value such as CURRENT_TIMESTAMP or CURRENT_USER"


RULE = Rule("non-immutable-predicate", Severity.ERROR, check)
