"""An index whose keys are the first keys of another one."""

from collections.abc import Iterator

from easymo.indexes.lint.migrations import Migrations, Report, Rule, Severity


def check(migrations: Migrations) -> Iterator[Report]:
    for one, other in migrations.pairs():
        if other.definition.covers(one.definition):
            yield Report(
                one.path,
                one.statement,
                f"{other.name} ({other.path.name}:{other.statement.line}) begins with the keys of {one.name} and finds "
                "the same rows: every write pays for both.",
                f"Remove {one.name}, unless it is so much smaller that queries choose it.",
            )


RULE = Rule("prefix-of-another", Severity.WARNING, check)
