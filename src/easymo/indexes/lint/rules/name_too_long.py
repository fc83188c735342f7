"""An index name of more than 63 bytes."""

from easymo.indexes.definitions import MAX_NAME_BYTES
from easymo.indexes.lint.model import History, Reports, Rule, Severity


def check(history: History) -> Reports:
    for index in history.indexes:
        length = len(index.name.encode())
        if length > MAX_NAME_BYTES:
            kept = index.name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
            yield (
                index.at,
                f"The name has {length} bytes and Postgres keeps {MAX_NAME_BYTES}: the index will be called {kept}, "
                "and two names that begin alike are one.",
                f"Shorten the name to {MAX_NAME_BYTES} bytes.",
            )


RULE = Rule("name-too-long", Severity.ERROR, check)
