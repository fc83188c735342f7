"""What the whole database server is asked, by all replicas of all services, as metrics.

Every replica that watches reports the same figures: the highest value is right, a sum would count them once a replica.
"""

from contextlib import AbstractAsyncContextManager

from easymo_platform.runtime.background import repeatedly
from easymo_platform.runtime.database import Database
from easymo_platform.runtime.metrics import Metrics

EVERY_S = 5.0

# pg_stat_activity hides what kind of backend it shows from those who may not see statements of others.
_CONNECTIONS = """
select sum(numbackends)::int as open,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as maximum
from pg_stat_database
"""
_EXTENSION = """
select quote_ident(nspname) from pg_extension join pg_namespace on pg_namespace.oid = extnamespace
where extname = 'pg_stat_statements' and has_schema_privilege(pg_namespace.oid, 'usage')
"""
# false: without the texts, which lie in a file and would be read each time.
_STATEMENTS = """
select coalesce(sum(calls), 0)::bigint as statements, coalesce(sum(total_exec_time), 0) / 1000 as seconds
from {schema}.pg_stat_statements(false)
where dbid = (select oid from pg_database where datname = current_database())
"""


class ServerWatch:
    """Keeps the server's figures up to date, one look every :data:`EVERY_S` seconds."""

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database = database
        service = metrics.service
        self._open = metrics.gauge("db_server_connections", "Connections of clients to the server.").labels(service)
        self._maximum = metrics.gauge("db_server_max_connections", "How many clients may have.").labels(service)
        self._statements = metrics.counter("db_server_statements_total", "Statements run in this database.")
        self._seconds = metrics.counter("db_server_statement_seconds_total", "Time spent in them.")
        self._service = service
        self._schema: str | None = None
        self._last: tuple[int, float] | None = None

    def running(self) -> AbstractAsyncContextManager[None]:
        """Watches in the background for the length of the block."""
        return repeatedly(self.look, EVERY_S, "server_not_seen")

    async def look(self) -> None:
        """Bring the figures up to date. Without pg_stat_statements in this database, those of the connections only.

        Raises:
            DatabaseError: when Postgres does not answer.
        """
        async with self._database.session() as session:
            connections = await session.connection.fetchrow(_CONNECTIONS)
            self._schema = self._schema or await session.connection.fetchval(_EXTENSION)
            asked = _STATEMENTS.format(schema=self._schema) if self._schema else ""
            totals = await session.connection.fetchrow(asked) if asked else None
        assert connections is not None
        self._open.set(connections["open"])
        self._maximum.set(connections["maximum"])
        if totals is not None:
            self._count(totals["statements"], totals["seconds"])

    def _count(self, statements: int, seconds: float) -> None:
        """The sums shrink when Postgres evicts rare statements or is reset; a counter must not.

        Prometheus would take a smaller sum for a restart and the whole of it for new statements.
        """
        before_statements, before_seconds = self._last or (statements, seconds)
        self._statements.labels(self._service).inc(max(0, statements - before_statements))
        self._seconds.labels(self._service).inc(max(0.0, seconds - before_seconds))
        self._last = statements, seconds
