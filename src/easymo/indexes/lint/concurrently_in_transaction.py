"""CONCURRENTLY between BEGIN and COMMIT, or in a DO block."""

import re
from collections.abc import Iterator

from easymo.indexes.lint.migrations import Migrations, Report, Rule, Severity
from easymo.indexes.parser import words

_IN_CODE = re.compile(r"\bindex\s+concurrently\b", re.IGNORECASE)


def check(migrations: Migrations) -> Iterator[Report]:
    for placed in migrations.statements:
        statement = placed.statement
        if statement.kind == "do_stmt" and _IN_CODE.search(statement.text):
            yield Report(
                placed.path,
                statement,
                "Postgres refuses CONCURRENTLY in a DO block, because a function runs in a transaction.",
                "Write the statement into the file itself, outside BEGIN and COMMIT.",
            )
        elif placed.in_transaction and statement.concurrent and "concurrently" in map(str.lower, words(statement.text)):
            yield Report(
                placed.path,
                statement,
                "Postgres refuses CONCURRENTLY in a transaction block: this fails, and everything after BEGIN with it.",
                "Remove BEGIN and COMMIT, and send each statement on its own.",
            )


RULE = Rule("concurrently-in-transaction", Severity.ERROR, check)
