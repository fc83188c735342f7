"""Whether sessions are shared with others behind our back: a pooler in transaction mode."""

from urllib.parse import urlsplit

import asyncpg

from easymo.indexes.errors import PoolerError
from easymo.indexes.observed import Connection

_PROBES = 3
_PID = "select pg_backend_pid()"
_NO_LIMIT = "set local statement_timeout = 0"  # a limit of the role may be shorter than our patience


async def refuse_pooler(connection: Connection, database_url: str) -> None:
    """Raise PoolerError when two of our sessions meet in one backend, or one of them moves to another backend.

    A direct connection, and a pooler in session mode, keep every session in a backend of its own.
    """
    other = await asyncpg.connect(database_url, statement_cache_size=0)
    try:
        for _ in range(_PROBES):
            ours = await _pid(connection)
            async with other.transaction():
                await other.execute(_NO_LIMIT)
                shared = await other.fetchval(_PID) == ours or await _pid(connection) != ours
            if shared:
                raise PoolerError(await _instead(connection, database_url))
    finally:
        await other.close()


async def _pid(connection: Connection) -> int:
    async with connection.transaction():  # which a pooler gives to one backend as a whole
        await connection.execute(_NO_LIMIT)
        return int(await connection.fetchval(_PID))


async def _instead(connection: Connection, database_url: str) -> str:
    host = urlsplit(database_url).hostname or ""
    if host.endswith((".supabase.com", ".supabase.co")):
        return f"port 5432 of {host}, which is the session mode of Supabase"
    async with connection.transaction():
        row = await connection.fetchrow("select host(inet_server_addr()) as host, inet_server_port() as port")
    if row is None or row["host"] is None:
        return "the address of Postgres itself, or a pool in session mode"
    return f"the address of Postgres itself, which the pooler knows as {row['host']}:{row['port']}"
