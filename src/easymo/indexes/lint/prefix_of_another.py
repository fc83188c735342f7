"""An index whose keys are the first keys of another one."""

from collections.abc import Iterator

from easymo.indexes.lint.migrations import Index, Migrations, Report, Rule, Severity


def check(migrations: Migrations) -> Iterator[Report]:
    for one, other in migrations.pairs():
        if is_prefix(one, other):
            yield Report(
                one.path,
                one.statement,
                f"{other.name} ({other.path.name}:{other.statement.line}) begins with the keys of {one.name} and finds "
                "the same rows: every write pays for both.",
                f"Remove {one.name}, unless it is so much smaller that queries choose it.",
            )


def is_prefix(one: Index, other: Index) -> bool:
    """Whether `other` can do all that `one` does."""
    short, long = one.definition, other.definition
    return (
        not short.unique
        and short.method == long.method == "btree"
        and len(short.keys) < len(long.keys)
        and long.keys[: len(short.keys)] == short.keys
        and short.predicate == long.predicate
        and set(short.include) <= {*long.include, *(key.text for key in long.keys)}
    )


RULE = Rule("prefix-of-another", Severity.WARNING, check)
