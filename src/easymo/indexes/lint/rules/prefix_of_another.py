"""An index whose keys are the first keys of another one."""

from itertools import islice

from easymo.indexes.lint.model import History, Reports, Rule, Severity


def check(history: History) -> Reports:
    for indexes in history.by_table().values():
        for one in indexes:
            longer = (other for other in indexes if other.definition.covers(one.definition))
            for other in islice(longer, 1):
                yield (
                    one.at,
                    f"{other.name} ({other.at.seen_from(one.at)}) begins with the keys of {one.name} and finds the "
                    "same rows: every write pays for both.",
                    f"Remove {one.name}, unless it is so much smaller that queries choose it.",
                )


RULE = Rule("prefix-of-another", Severity.WARNING, check)
