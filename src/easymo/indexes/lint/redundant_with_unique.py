"""An index that begins with all columns of a unique key."""

from collections.abc import Iterator

from easymo.indexes.lint.migrations import Index, Migrations, Report, Rule, Severity, Table, Unique


def check(migrations: Migrations) -> Iterator[Report]:
    for index in migrations.standing.values():
        keys = index.definition.keys
        if index.definition.method != "btree" or any(key.operator_class for key in keys):
            continue
        for unique in _uniques(migrations, index):
            begin = {key.text for key in keys[: len(unique.columns)]}
            if begin == set(unique.columns):
                yield Report(
                    index.path,
                    index.statement,
                    f"{index.name} begins with {', '.join(unique.columns)}, which {unique.name} already finds, one row "
                    "at most: reads gain nothing but an index-only scan, and every write pays for both.",
                    f"Remove {index.name}, or make it the one unique index, with INCLUDE for what queries read.",
                )
                break


def _uniques(migrations: Migrations, index: Index) -> Iterator[Unique]:
    yield from migrations.tables.get(index.definition.table, Table()).uniques
    for other in migrations.standing.values():
        definition = other.definition
        if (
            other is not index
            and definition.unique
            and not definition.predicate
            and definition.table == index.definition.table
        ):
            yield Unique(other.name, tuple(key.text for key in definition.keys))


RULE = Rule("redundant-with-unique", Severity.WARNING, check)
