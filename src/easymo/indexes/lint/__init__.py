"""Findings about the indexes of migration files, read without a database.

`lint(paths, hot_queries)` gives what the rules find. A line `-- easymo:ignore <rule> <reason>` in the comment before a
statement silences one rule for it.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from easymo.indexes.hotqueries import read_hot_queries
from easymo.indexes.lint.history import read_history
from easymo.indexes.lint.model import Finding, History, Severity
from easymo.indexes.lint.rules import RULES
from easymo.indexes.sqlfile import Statement

# A reason is asked for: without one the comment silences nothing.
_IGNORE = re.compile(r"--\s*easymo:ignore\s+(?P<rule>[a-z-]+)[ \t]+\S")

__all__ = ["RULES", "Finding", "Severity", "lint"]


def lint(paths: Iterable[Path], hot_queries: Iterable[Path] = ()) -> list[Finding]:
    """The findings in files that are applied in this order, by file and line.

    A file that cannot be read is a finding. Raises SqlFileError for hot queries that cannot.
    """
    files = list(paths)
    history = read_history(files, read_hot_queries(hot_queries))
    order = {str(path): at for at, path in enumerate(files)}
    return sorted(_findings(history), key=lambda finding: (order[finding.file], finding.line))


def _findings(history: History) -> Iterator[Finding]:
    for rule in RULES:
        for at, message, advice in rule.check(history):
            if rule.slug not in _ignored(at.statement):
                yield Finding(rule.slug, rule.severity, str(at.path), at.statement.line, message, advice)


def _ignored(statement: Statement) -> set[str]:
    return {match["rule"] for match in _IGNORE.finditer(statement.source)}
