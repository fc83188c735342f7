"""Named SQL statements, read from a service's ``queries.sql`` (aiosql's format)."""

from pathlib import Path
from typing import Any

import aiosql
import msgspec
from aiosql.adapters.asyncpg import AsyncPGAdapter


class Statement(msgspec.Struct, frozen=True):
    """One statement: ``text`` with ``$1`` placeholders, ``parameters`` naming them in order."""

    name: str
    text: str
    parameters: tuple[str, ...]

    def bind(self, arguments: dict[str, Any]) -> list[Any]:
        """``arguments`` in the order of the placeholders.

        Raises:
            TypeError: if one is missing or too many were given.
        """
        if len(arguments) == len(self.parameters):
            try:
                return [arguments[name] for name in self.parameters]
            except KeyError:
                pass
        raise TypeError(f"{self.name} takes {', '.join(self.parameters) or 'nothing'}; got {', '.join(arguments)}")


def read_statements(path: Path) -> dict[str, Statement]:
    """The statements of ``path`` by name. Placeholders are ``:name``; a cast (``::text``) is left alone."""
    adapter = AsyncPGAdapter()  # type: ignore[no-untyped-call]
    queries = aiosql.from_path(path, lambda: adapter)
    return {
        name: Statement(name, getattr(queries, name).sql, tuple(adapter.var_sorted[name]))
        for name in queries.available_queries
        if not name.endswith("_cursor")
    }
