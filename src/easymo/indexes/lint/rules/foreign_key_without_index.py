"""A foreign key whose columns no index begins with."""

from easymo.indexes.conditions import Operator
from easymo.indexes.hotqueries import HotQuery, table_conditions
from easymo.indexes.lint.model import ForeignKey, History, Reports, Rule, Severity
from easymo.indexes.parser import of_kind


def check(history: History) -> Reports:
    by_table = history.by_table()
    for foreign_key in history.foreign_keys:
        columns = set(foreign_key.columns)
        served = any(
            {key.text for key in index.definition.keys[: len(columns)]} == columns
            and index.definition.method in ("btree", "hash")
            and index.definition.predicate.lower() in ("", f"{foreign_key.columns[0]} is not null")
            for index in by_table.get(foreign_key.table, ())
        )
        asked = [query.name for query in history.hot_queries if _asks(query, foreign_key)]
        if served or (history.hot_queries and not asked):
            continue
        who = f" ({', '.join(asked)})" if asked else ""
        yield (
            foreign_key.at,
            f"No index begins with {', '.join(foreign_key.columns)} of {foreign_key.table}: each delete of a row of "
            f"{foreign_key.parent}, or update of its key, and each join from there reads all of {foreign_key.table}"
            f"{who}.",
            f"CREATE INDEX CONCURRENTLY on {foreign_key.table} ({', '.join(foreign_key.columns)}), unless rows of "
            f"{foreign_key.parent} are never deleted and nobody joins from there.",
        )


def _asks(query: HotQuery, foreign_key: ForeignKey) -> bool:
    """Whether the query deletes parents, or looks for children by the columns."""
    table, parent = (name.rpartition(".")[2] for name in (foreign_key.table, foreign_key.parent))
    deletes = any(node.relation.relname == parent for node in of_kind(query.statement, "DeleteStmt"))
    return deletes or any(
        name == table and c.column in foreign_key.columns and c.operator in (Operator.EQUAL, Operator.IN, Operator.JOIN)
        for name, c in table_conditions(query.statement)
    )


RULE = Rule("foreign-key-without-index", Severity.WARNING, check)
