"""IF NOT EXISTS on an index: it looks at the name alone."""

from easymo.indexes.lint.model import History, Reports, Rule, Severity


def check(history: History) -> Reports:
    for index in history.indexes:
        different = index.hides and index.hides.shape != index.definition.shape
        if different:
            yield (
                index.at,
                f"IF NOT EXISTS passes over {index.name}, which an earlier statement has made with another definition: "
                "this one builds nothing.",
                f"Drop the earlier {index.name} first, or give this index a name of its own.",
            )
        elif index.if_not_exists and index.concurrent and not index.on_new_table and not index.after_drop:
            yield (
                index.at,
                f"IF NOT EXISTS passes over every index named {index.name}, an invalid one too: that is what a "
                "concurrent build that breaks off leaves, and no query uses it.",
                "Leave IF NOT EXISTS out and let `easymo indexes apply` repair leftovers, or DROP INDEX CONCURRENTLY "
                "IF EXISTS before it.",
            )


RULE = Rule("if-not-exists-hides-invalid", Severity.ERROR, check)
