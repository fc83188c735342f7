"""Two indexes of one table with the same definition."""

from easymo.indexes.lint.model import History, Index, Reports, Rule, Severity


def check(history: History) -> Reports:
    for table, indexes in history.by_table().items():
        first: dict[object, Index] = {}
        # A constraint is kept before an index, and an older one before a younger one.
        for index in sorted(indexes, key=lambda index: not index.constraint):
            other = first.setdefault(index.definition.shape, index)
            if other is not index and index.name != history.table(table).replica_identity:
                yield (
                    index.at,
                    f"{index.name} is the same index as {other.name} ({other.at.seen_from(index.at)}): every write "
                    "pays for both and no read gains.",
                    f"Remove {index.name}, or drop {other.name}.",
                )


RULE = Rule("duplicate-index", Severity.WARNING, check)
