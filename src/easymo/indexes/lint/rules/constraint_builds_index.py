"""A UNIQUE or PRIMARY KEY constraint that builds its index on a table that has been there before."""

from easymo.indexes.lint.model import History, Reports, Rule, Severity


def check(history: History) -> Reports:
    for index in history.created:
        table = index.definition.table
        if index.constraint and index.at.statement.kind == "alter_table_stmt" and not index.on_new_table:
            if history.table(table).partitioned:
                continue  # Postgres takes no USING INDEX there
            yield (
                index.at,
                f"The {index.constraint} constraint {index.name} builds its index under an ACCESS EXCLUSIVE lock on "
                f"{table}: every read and write waits until it is done.",
                f"CREATE UNIQUE INDEX CONCURRENTLY first, {index.at.outside}; then ADD CONSTRAINT {index.name} "
                f"{index.constraint} USING INDEX.",
            )


RULE = Rule("constraint-builds-index", Severity.ERROR, check)
