"""The user's own server where an address names one, an embedded one where none does."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Protocol
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from easymo.embedded.errors import ServerLostError
from easymo.embedded.postgres import Postgres
from easymo.embedded.valkey import Valkey

_CONNECT_TIMEOUT_S = 5.0


class CacheServer(Protocol):
    """A running Redis or Valkey."""

    @property
    def url(self) -> str:
        """Its address."""

    @property
    def embedded(self) -> bool:
        """Whether it is ours, with nobody else's data in it."""

    @property
    def pid(self) -> int | None:
        """Its process, None when it is the user's own."""

    def alive(self) -> bool:
        """Whether it still runs: by its process if it is ours, by a connection if it is the user's."""

    def check(self) -> None:
        """Raise ServerLostError when it does not."""


class DatabaseServer(CacheServer, Protocol):
    """A running Postgres."""

    def database_url(self, name: str) -> str:
        """Address of another database of the same server, whether it exists or not."""


class GivenServer:
    """The user's own server: it is used, never started or stopped."""

    embedded = False
    pid: int | None = None

    def __init__(self, url: str, default_port: int) -> None:
        self.url = url
        self._default_port = default_port

    def database_url(self, name: str) -> str:
        """The user's address with another database in it."""
        parts = urlsplit(self.url)
        query = {key: value for key, value in parse_qs(parts.query).items() if key not in ("dbname", "database")}
        changed = parts._replace(path=f"/{quote(name, safe='')}", query=urlencode(query, doseq=True))
        return changed.geturl()

    def alive(self) -> bool:
        """Whether it accepts a connection."""
        return not self._refusal()

    def check(self) -> None:
        """Raise ServerLostError when it accepts no connection."""
        if refusal := self._refusal():
            raise ServerLostError(f"The server at {self._place()}", refusal)

    def _refusal(self) -> str:
        place = self._place()
        kind = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
        try:
            if isinstance(place, str):
                with socket.socket(kind) as client:
                    client.settimeout(_CONNECT_TIMEOUT_S)
                    client.connect(place)
            else:
                socket.create_connection(place, _CONNECT_TIMEOUT_S).close()
        except OSError as error:
            return f"it accepts no connection ({error})"
        return ""

    def _place(self) -> str | tuple[str, int]:
        """Path of the socket, or host and port."""
        parts = urlsplit(self.url)
        if parts.scheme == "unix":
            return unquote(parts.path)
        query = parse_qs(parts.query)
        host = query.get("host", [parts.hostname or "localhost"])[0]
        port = int(query.get("port", [parts.port or self._default_port])[0])
        return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


@contextlib.contextmanager
def database_server(url: str | None) -> Iterator[DatabaseServer]:
    """The Postgres at `url` (usually the environment's DATABASE_URL), or an embedded one when there is none."""
    if url:
        yield GivenServer(url, 5432)
    else:
        with Postgres() as server:
            yield server


@contextlib.contextmanager
def cache_server(url: str | None) -> Iterator[CacheServer]:
    """The Redis or Valkey at `url` (usually the environment's REDIS_URL), or an embedded one when there is none."""
    if url:
        yield GivenServer(url, 6379)
    else:
        with Valkey() as server:
            yield server
