"""Two indexes of one table with the same definition."""

from collections.abc import Iterator

from easymo.indexes.lint.migrations import Migrations, Report, Rule, Severity


def check(migrations: Migrations) -> Iterator[Report]:
    order = {id(index): at for at, index in enumerate(migrations.standing.values())}
    for one, other in migrations.pairs():
        if order[id(other)] < order[id(one)] and one.definition.shape == other.definition.shape:
            yield Report(
                one.path,
                one.statement,
                f"{one.name} is the same index as {other.name} ({other.path.name}:{other.statement.line}): every write "
                "pays for both and no read gains.",
                f"Remove {one.name}, or drop {other.name}.",
            )


RULE = Rule("duplicate-index", Severity.WARNING, check)
