"""An index whose keys are the first keys of another one."""

from itertools import permutations

from easymo.indexes.lint.model import History, Reports, Rule, Severity


def check(history: History) -> Reports:
    for indexes in history.by_table().values():
        for one, other in permutations(indexes, 2):
            if other.definition.covers(one.definition):
                yield (
                    one.at,
                    f"{other.name} ({other.at.seen_from(one.at)}) begins with the keys of {one.name} and finds the "
                    "same rows: every write pays for both.",
                    f"Remove {one.name}, unless it is so much smaller that queries choose it.",
                )
                break


RULE = Rule("prefix-of-another", Severity.WARNING, check)
