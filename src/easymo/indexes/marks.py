"""The mark that says `apply` built an index: a comment, which goes with the index and is seen from every machine."""

from easymo.indexes.observed import Connection, Observed, quote

_MARK, _REPLACED = "Built by easymo indexes", "\nIn place of: "


async def mark(
    connection: Connection, schema: str, index: str, source: str, replaced: str = "", comment: str = ""
) -> None:
    """Mark an index as ours, built from the file `source`, in place of the index that the statement `replaced` made.

    The mark stands below the `comment` that the file has for the index.
    """
    lines = f"{comment}\n{_MARK} from {source}".lstrip("\n") + (f"{_REPLACED}{replaced}" if replaced else "")
    comment = lines.replace("'", "''")
    await connection.execute(f"comment on index {quote(schema)}.{quote(index)} is '{comment}'")


def is_marked(observed: Observed) -> bool:
    """Whether `apply` built this index."""
    return any(line.startswith(_MARK) for line in observed.comment.splitlines())


def replaced_by(observed: Observed) -> str:
    """The statement of the index that stood where this one stands; empty when there was none."""
    return observed.comment.partition(_REPLACED)[2] if is_marked(observed) else ""
