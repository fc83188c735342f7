"""An index that begins with all columns of a unique key, in its order."""

from easymo.indexes.definitions import Definition
from easymo.indexes.lint.model import History, Index, Reports, Rule, Severity


def check(history: History) -> Reports:
    by_table = history.by_table()
    for index in history.standing.values():
        if index.constraint or _is_referred_to(history, index):
            continue
        for unique in by_table[index.definition.table]:
            if unique is not index and _covers(unique.definition, index.definition):
                columns = ", ".join(key.text for key in unique.definition.keys)
                yield (
                    index.at,
                    f"{index.name} begins with {columns}, of which {unique.name} ({unique.at.seen_from(index.at)}) "
                    "finds one row at most: reads gain nothing but an index-only scan, and every write pays for both.",
                    f"Remove {index.name}, or make it the one unique index, with INCLUDE for what queries read.",
                )
                break


def _covers(unique: Definition, index: Definition) -> bool:
    """Whether a lookup in the unique index finds all that one in the index does."""
    begin = index.keys[: len(unique.keys)]
    return (
        unique.unique
        and unique.method == index.method == "btree"
        and unique.predicate == index.predicate
        and [(k.text, k.collation, k.operator_class) for k in begin]
        == [(k.text, k.collation, k.operator_class) for k in unique.keys]
        and index.shape != unique.shape  # that is a duplicate
        and (len(index.keys) > len(unique.keys) or not index.unique or bool(index.include))
    )


def _is_referred_to(history: History, index: Index) -> bool:
    columns = {key.text for key in index.definition.keys}
    table = index.definition.table
    return index.name == history.table(table).replica_identity or (
        index.definition.unique
        and any(fk.parent == table and set(fk.parent_columns) == columns for fk in history.foreign_keys)
    )


RULE = Rule("redundant-with-unique", Severity.WARNING, check)
