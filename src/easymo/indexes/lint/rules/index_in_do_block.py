"""CREATE INDEX in the code of a DO block."""

import re

from easymo.indexes.lint.model import History, Reports, Rule, Severity

_CREATE = re.compile(r"\bcreate\s+(?:unique\s+)?index\b(?!\s+concurrently\b)", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def check(history: History) -> Reports:
    for placed in history.statements:
        if placed.statement.kind == "do_stmt" and _CREATE.search(_COMMENT.sub("", placed.statement.text)):
            yield (
                placed,
                "CREATE INDEX in a DO block runs in a transaction, so it cannot be CONCURRENTLY: every insert, update "
                "and delete of the table waits until the block is done.",
                f"Write CREATE INDEX CONCURRENTLY into the file itself, {placed.outside}.",
            )


RULE = Rule("index-in-do-block", Severity.ERROR, check)
