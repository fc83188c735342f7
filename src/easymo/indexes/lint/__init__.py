"""Findings about the indexes of migration files, read without a database.

`lint(paths, hot_queries)` gives what the rules find. A line `-- easymo:ignore <rule> <reason>` in the comment before a
statement silences one rule for it.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from easymo.indexes.hotqueries import read_hot_queries
from easymo.indexes.lint import (
    concurrently_in_transaction,
    concurrently_on_partitioned,
    duplicate_index,
    if_not_exists_hides_invalid,
    name_too_long,
    non_concurrent_create,
    non_immutable_predicate,
    parameter_cannot_imply_predicate,
    predicate_ends_hot,
    predicate_hides_rows,
    prefix_of_another,
    redundant_with_unique,
)
from easymo.indexes.lint.migrations import Migrations, Rule, Severity, read_migrations
from easymo.indexes.sqlfile import Statement

RULES: tuple[Rule, ...] = (
    concurrently_in_transaction.RULE,
    non_immutable_predicate.RULE,
    non_concurrent_create.RULE,
    if_not_exists_hides_invalid.RULE,
    concurrently_on_partitioned.RULE,
    name_too_long.RULE,
    duplicate_index.RULE,
    prefix_of_another.RULE,
    predicate_ends_hot.RULE,
    predicate_hides_rows.RULE,
    parameter_cannot_imply_predicate.RULE,
    redundant_with_unique.RULE,
)
# A reason is asked for: without one the comment silences nothing.
_IGNORE = re.compile(r"--\s*easymo:ignore\s+(?P<rule>[a-z-]+)[ \t]+\S")

__all__ = ["RULES", "Finding", "Severity", "lint"]


class Finding(msgspec.Struct, frozen=True):
    """What a rule says about one statement. `line` counts from 1; `help` is what to do."""

    rule: str
    severity: Severity
    file: str
    line: int
    message: str
    help: str


def lint(paths: Iterable[Path], hot_queries: Iterable[Path] = ()) -> list[Finding]:
    """The findings in files that are applied in this order, by file and line. Raises SqlFileError."""
    files = list(paths)
    migrations = read_migrations(files, read_hot_queries(hot_queries))
    order = {str(path): at for at, path in enumerate(files)}
    return sorted(_findings(migrations), key=lambda finding: (order[finding.file], finding.line))


def _findings(migrations: Migrations) -> Iterator[Finding]:
    for rule in RULES:
        for report in rule.check(migrations):
            if rule.slug not in _ignored(report.statement):
                yield Finding(
                    rule.slug, rule.severity, str(report.path), report.statement.line, report.message, report.help
                )


def _ignored(statement: Statement) -> set[str]:
    return {match["rule"] for match in _IGNORE.finditer(statement.source)}
