"""DROP INDEX without CONCURRENTLY."""

from easymo.indexes.lint.model import History, Reports, Rule, Severity


def check(history: History) -> Reports:
    for drop in history.drops:
        yield (
            drop.at,
            f"Dropping {drop.name} takes an ACCESS EXCLUSIVE lock on {drop.table or 'its table'}: it waits for every "
            "open transaction, and every read and write waits behind it.",
            f"Write DROP INDEX CONCURRENTLY, {drop.at.outside}.",
        )


RULE = Rule("non-concurrent-drop", Severity.ERROR, check)
