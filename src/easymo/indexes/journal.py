"""What a run is about to do, on disk before it does it: what the catalogue cannot tell after a crash."""

import os
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import msgspec

from easymo.indexes.definitions import Definition
from easymo.indexes.observed import Connection

_SERVER = "select system_identifier::text from pg_control_system()"
_DATABASE = "select oid::text from pg_database where datname = current_database()"


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. `event` is `build` before a build and `built` once the index is marked; `drop` and `dropped` likewise
    in a rollback, `remove` and `removed` where a file drops an index.

    `database` says which one of all servers. `shape` is what the index is; `replaced` is the statement of the index
    that stood in its place.
    """

    at: str
    database: str
    event: str
    schema: str
    index: str
    shape: Definition | None = None
    replaced: str = ""


class Journal:
    """The journal of one database; without a path it forgets everything."""

    def __init__(self, path: Path | None, database: str) -> None:
        self._path, self._database = path, database
        self._last = {(entry.schema, entry.index): entry for entry in _read(path) if entry.database == database}

    def unfinished(self, schema: str, index: str) -> Entry | None:
        """What was begun with this index and not finished, by the last run that touched it."""
        entry = self._last.get((schema, index))
        return entry if entry and entry.event in ("build", "drop") else None

    def began(self, schema: str, index: str, shape: Definition) -> bool:
        """Whether an index of that shape is what a run of ours was building when it broke off."""
        entry = self.unfinished(schema, index)
        return entry is not None and entry.event == "build" and entry.shape == shape

    def removed(self, definition: Definition) -> Entry | None:
        """What the files have made a run drop under this name."""
        for (schema, index), entry in self._last.items():
            if index == definition.name and definition.schema in ("", schema) and entry.event in ("remove", "removed"):
                return entry
        return None

    def write(self, event: str, schema: str, index: str, shape: Definition | None = None, replaced: str = "") -> None:
        """Add a line and return once it is on the disk."""
        entry = Entry(
            datetime.now(UTC).isoformat(timespec="milliseconds"), self._database, event, schema, index, shape, replaced
        )
        self._last[schema, index] = entry
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Begun with a line break where a crash has left half a line.
        with self._path.open("ab+") as file:
            file.seek(-1, os.SEEK_END) if file.tell() else None
            broken = file.tell() and file.read(1) != b"\n"
            file.write((b"\n" if broken else b"") + msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())


async def open_journal(path: Path | None, connection: Connection) -> Journal:
    """The journal at `path` for the connection's database."""
    try:
        server = await connection.fetchval(_SERVER)
    except asyncpg.InsufficientPrivilegeError:
        server = ""
    return Journal(path, f"{server}/{await connection.fetchval(_DATABASE)}")


def default_journal(database_url: str) -> Path:
    """Where the commands keep the journal of a database: in the folder they are run in."""
    name = unquote(urlsplit(database_url).path.strip("/")) or "database"
    return Path(".easymo") / f"{name.replace('/', '_')}.journal.jsonl"


def _read(path: Path | None) -> list[Entry]:
    if path is None or not path.exists():
        return []
    entries = []
    for line in path.read_bytes().splitlines():
        try:
            entries.append(msgspec.json.decode(line, type=Entry))
        except msgspec.DecodeError:
            continue  # half a line of a run that was killed while it wrote: what it announced was not begun
    return entries
