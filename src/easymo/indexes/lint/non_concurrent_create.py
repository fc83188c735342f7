"""CREATE INDEX without CONCURRENTLY on a table that has been there before."""

from collections.abc import Iterator

from easymo.indexes.lint.migrations import Migrations, Report, Rule, Severity, Table


def check(migrations: Migrations) -> Iterator[Report]:
    for index in migrations.indexes:
        if index.concurrent or index.only or index.on_new_table:
            continue
        table = index.definition.table
        partitioned = migrations.tables.get(table, Table()).partitioned
        yield Report(
            index.path,
            index.statement,
            f"{index.name or 'The index'} takes a SHARE lock on {table}: every insert, update and delete waits until "
            "it is built.",
            f"Create it ON ONLY {table}, then CONCURRENTLY on each partition, and attach: `easymo indexes apply` does."
            if partitioned
            else "Write CREATE INDEX CONCURRENTLY, outside a transaction.",
        )


RULE = Rule("non-concurrent-create", Severity.ERROR, check)
