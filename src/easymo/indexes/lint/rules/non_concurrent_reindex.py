"""REINDEX without CONCURRENTLY."""

from easymo.indexes.lint.model import History, Reports, Rule, Severity


def check(history: History) -> Reports:
    for reindex in history.reindexes:
        yield (
            reindex.at,
            f"REINDEX of {reindex.name} keeps every write waiting until it is done, and every read that would use the "
            "index.",
            f"Write REINDEX … CONCURRENTLY, {reindex.at.outside}.",
        )


RULE = Rule("non-concurrent-reindex", Severity.ERROR, check)
