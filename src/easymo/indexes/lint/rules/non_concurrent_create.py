"""CREATE INDEX without CONCURRENTLY on a table that has been there before."""

from easymo.indexes.lint.model import History, Reports, Rule, Severity


def check(history: History) -> Reports:
    for index in history.indexes:
        if index.concurrent or index.only or index.on_new_table or index.hides:
            continue
        table = index.definition.table
        yield (
            index.at,
            f"{index.name} takes a SHARE lock on {table}: every insert, update and delete waits until it is built.",
            f"Create it ON ONLY {table}, then CONCURRENTLY on each partition, and attach: `easymo indexes apply` does."
            if history.table(table).partitioned
            else f"Write CREATE INDEX CONCURRENTLY, {index.at.outside}.",
        )


RULE = Rule("non-concurrent-create", Severity.ERROR, check)
