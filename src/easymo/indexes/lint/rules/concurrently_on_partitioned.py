"""CONCURRENTLY on the parent of partitions."""

from easymo.indexes.lint.model import History, Reports, Rule, Severity


def check(history: History) -> Reports:
    for index in history.indexes:
        table = index.definition.table
        if index.concurrent and history.table(table).partitioned:
            yield (
                index.at,
                f"Postgres refuses {index.name}: {table} is partitioned, and a parent takes no concurrent build.",
                f"Create it ON ONLY {table}, then CONCURRENTLY on each partition, and attach: `easymo indexes apply` "
                "does that with this very statement.",
            )


RULE = Rule("concurrently-on-partitioned", Severity.ERROR, check)
