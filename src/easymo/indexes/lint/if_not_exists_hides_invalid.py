"""IF NOT EXISTS on an index: it looks at the name alone."""

from collections.abc import Iterator

from easymo.indexes.lint.migrations import Migrations, Report, Rule, Severity


def check(migrations: Migrations) -> Iterator[Report]:
    for index in migrations.indexes:
        if index.if_not_exists and not index.on_new_table and not index.after_drop:
            yield Report(
                index.path,
                index.statement,
                f"IF NOT EXISTS passes over every index named {index.name}: an invalid one, which a build that broke "
                "off leaves and no query uses, and one with other columns.",
                "Leave IF NOT EXISTS out and let `easymo indexes apply` repair leftovers, or DROP INDEX CONCURRENTLY "
                "IF EXISTS before it.",
            )


RULE = Rule("if-not-exists-hides-invalid", Severity.ERROR, check)
