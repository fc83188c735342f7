"""CONCURRENTLY on the parent of partitions."""

from collections.abc import Iterator

from easymo.indexes.lint.migrations import Migrations, Report, Rule, Severity, Table


def check(migrations: Migrations) -> Iterator[Report]:
    for index in migrations.indexes:
        table = index.definition.table
        if index.concurrent and migrations.tables.get(table, Table()).partitioned:
            yield Report(
                index.path,
                index.statement,
                f"Postgres refuses {index.name}: {table} is partitioned, and a parent takes no concurrent build.",
                f"Create it ON ONLY {table}, then CONCURRENTLY on each partition, and attach: `easymo indexes apply` "
                "does that with this very statement.",
            )


RULE = Rule("concurrently-on-partitioned", Severity.ERROR, check)
