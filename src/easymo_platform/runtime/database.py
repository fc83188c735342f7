"""Postgres of a service: a pool behind a fair gate, and named statements that are counted and timed."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import asyncpg
import msgspec

from easymo_platform.runtime.errors import DatabaseError, ServiceError
from easymo_platform.runtime.gate import SHRINK_EVERY_S, Gate
from easymo_platform.runtime.metrics import Metrics
from easymo_platform.runtime.statements import Statement

WAIT_FOR_CONNECTION_S = 2.0
"""A request that waited this long for a connection is refused: its client has given up, working on it helps nobody."""

STATEMENT_TIMEOUT_S = 10


class Session:
    """One connection for the length of a ``with`` block.

    ``connection`` is asyncpg's own, for :meth:`easymo.cache.CacheService.after_commit`. The pool does not reset
    connections, so nothing may be set on it beyond a transaction (``SET LOCAL`` only).
    """

    __slots__ = ("_metrics", "_statements", "connection", "last")

    def __init__(
        self,
        connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]",
        statements: Mapping[str, Statement],
        metrics: Metrics,
    ) -> None:
        self.connection = connection
        self.last = ""
        self._statements = statements
        self._metrics = metrics

    async def fetch(self, name: str, **arguments: Any) -> list[asyncpg.Record]:
        """All rows of the statement ``name`` of the service's ``queries.sql``."""
        statement = self._statements[name]
        values = statement.bind(arguments)
        self.last = name
        started = perf_counter()
        rows = await self.connection.fetch(statement.text, *values)
        self._metrics.query(name, perf_counter() - started)
        return rows

    async def fetch_row(self, name: str, **arguments: Any) -> asyncpg.Record | None:
        """The first row, or ``None``."""
        rows = await self.fetch(name, **arguments)
        return rows[0] if rows else None


class Database:
    """The connection pool of one process.

    asyncpg's pool lets waiters starve and sends a reset after every use; a fair gate in front of it and no reset serve
    more statements at a fraction of the tail latency. The gate also decides how many connections there are: see `Gate`.
    """

    def __init__(
        self, url: str, size: int, service: str, statements: Mapping[str, Statement], metrics: Metrics
    ) -> None:
        self._url = url
        self._service = service
        self._statements = statements
        self._metrics = metrics
        self._gate = Gate(size)
        self._narrowing: asyncio.TimerHandle | None = None
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        metrics.gauge("db_pool_size", "Connections this process may hold.").labels(service).set(size)
        in_use = metrics.gauge("db_pool_in_use", "Connections running a statement or a transaction.").labels(service)
        in_use.set_function(lambda: self._gate.in_use)
        waiting = metrics.gauge("db_pool_waiting", "Requests that wait for a connection.").labels(service)
        waiting.set_function(lambda: self._gate.waiting)
        self._refused = metrics.counter("db_pool_refused_total", "Requests that waited in vain.").labels(service)

    async def open(self) -> None:
        """Connect. Raises :class:`DatabaseError` if Postgres cannot be reached or refuses us."""
        try:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=self._gate.most,
                max_inactive_connection_lifetime=SHRINK_EVERY_S,
                max_cached_statement_lifetime=0,
                reset=_leave_as_is,
                init=_read_json,
                server_settings={"application_name": self._service, "statement_timeout": f"{STATEMENT_TIMEOUT_S}s"},
            )
            self._narrow()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise DatabaseError(
                f"Cannot connect to Postgres: {error}. {self._service} answers nothing without it; check DATABASE_URL."
            ) from error

    async def close(self) -> None:
        """Wait for statements under way, then disconnect."""
        if self._narrowing is not None:
            self._narrowing.cancel()
        if self._pool is not None:
            await self._pool.close()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A connection of the pool, first come first served.

        Raises:
            DatabaseError: if none came free within :data:`WAIT_FOR_CONNECTION_S`, or if Postgres fails in the block.
            ServiceError: 400, if a value has no form in Postgres (a NUL in a text, a number out of range).
        """
        assert self._pool is not None, "open() comes first"
        await self._pass_gate()
        session = None
        try:
            async with self._pool.acquire() as connection:
                session = Session(connection, self._statements, self._metrics)
                yield session
        except asyncpg.DataError as error:
            raise ServiceError(400, "invalid_payload", "The database cannot store one of the values.") from error
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            doing = f"running {session.last}" if session is not None else "connecting"
            raise DatabaseError(f"Postgres failed while {doing}: {error}") from error
        finally:
            self._gate.leave()

    async def fetch(self, name: str, **arguments: Any) -> list[asyncpg.Record]:
        """All rows of one statement, on a connection of its own."""
        async with self.session() as session:
            return await session.fetch(name, **arguments)

    async def fetch_row(self, name: str, **arguments: Any) -> asyncpg.Record | None:
        """The first row of one statement, or ``None``."""
        async with self.session() as session:
            return await session.fetch_row(name, **arguments)

    async def ping(self) -> None:
        """Raises :class:`DatabaseError` unless Postgres answers."""
        async with self.session() as session:
            await session.connection.execute("select 1")

    async def _pass_gate(self) -> None:
        try:
            await self._gate.enter(WAIT_FOR_CONNECTION_S)
        except TimeoutError as error:
            self._refused.inc()
            raise DatabaseError(
                f"All {self._gate.size} connections were busy for {WAIT_FOR_CONNECTION_S:g} s; the request was refused."
            ) from error

    def _narrow(self) -> None:
        self._gate.narrow()
        self._narrowing = asyncio.get_running_loop().call_later(SHRINK_EVERY_S, self._narrow)


async def _leave_as_is(_: object) -> None:
    """Instead of asyncpg's reset, which costs a round trip after every use; see :class:`Session` for the price."""


async def _read_json(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
        schema="pg_catalog",
    )
