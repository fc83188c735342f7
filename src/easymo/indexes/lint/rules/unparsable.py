"""A file, or a statement of it, that Postgres cannot parse."""

from easymo.indexes.lint.model import History, Placed, Reports, Rule, Severity
from easymo.indexes.runners import PSQL
from easymo.indexes.sqlfile import Statement


def check(history: History) -> Reports:
    for fault in history.faults:
        statement = Statement("", "", fault.line, "", False, None)
        yield (
            Placed(fault.path, statement, PSQL, ""),
            f"The statement {fault.reason}; what it does to indexes is not seen, all else is.",
            "Repair it, or leave the file out with --exclude if it is not for PostgreSQL.",
        )


RULE = Rule("unparsable", Severity.ERROR, check)
