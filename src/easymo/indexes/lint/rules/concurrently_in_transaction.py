"""CONCURRENTLY in a transaction: between BEGIN and COMMIT, by the tool that runs the file, or in a DO block."""

import re

from easymo.indexes.lint.model import History, Reports, Rule, Severity
from easymo.indexes.parser import words

_IN_CODE = re.compile(r"\bindex\s+concurrently\b", re.IGNORECASE)


def check(history: History) -> Reports:
    for placed in history.statements:
        statement = placed.statement
        if statement.kind == "do_stmt" and _IN_CODE.search(statement.text):
            yield (
                placed,
                "Postgres refuses CONCURRENTLY in a DO block, because a function runs in a transaction.",
                "Write the statement into the file itself, outside BEGIN and COMMIT.",
            )
        elif placed.in_transaction and statement.concurrent and "concurrently" in map(str.lower, words(statement.text)):
            yield (
                placed,
                f"Postgres refuses CONCURRENTLY in a transaction, and {placed.in_transaction}.",
                f"Run it outside: {placed.outside}.",
            )


RULE = Rule("concurrently-in-transaction", Severity.ERROR, check)
