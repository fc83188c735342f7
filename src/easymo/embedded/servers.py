"""The user's own server where an address names one, an embedded one where none does."""

import secrets
import socket
from contextlib import AbstractContextManager, nullcontext
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from easymo.embedded.errors import AddressError, ServerLostError
from easymo.embedded.postgres import Postgres
from easymo.embedded.valkey import Valkey

_CONNECT_TIMEOUT_S = 5.0


class GivenServer:
    """The user's own server: it is used, never started or stopped. `pid` is None: it may be on another machine."""

    embedded = False
    pid: int | None = None

    def __init__(self, url: str, schemes: tuple[str, ...], default_port: int) -> None:
        self.url = url
        self._place = _place(url, schemes, default_port)

    def database_url(self, name: str) -> str:
        """The address with another database in it."""
        parts = urlsplit(self.url)
        query = [pair for pair in parse_qsl(parts.query, True) if pair[0] not in ("dbname", "database")]
        tail = f"?{urlencode(query)}" if query else ""
        return f"{parts.scheme}://{parts.netloc}/{quote(name, safe='')}{tail}"

    def alive(self) -> bool:
        """Whether it accepts a connection."""
        try:
            self.check()
        except ServerLostError:
            return False
        return True

    def check(self) -> None:
        """Raise ServerLostError when it accepts no connection."""
        try:
            if isinstance(self._place, str):
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(_CONNECT_TIMEOUT_S)
                    client.connect(self._place)
            else:
                socket.create_connection(self._place, _CONNECT_TIMEOUT_S).close()
        except OSError as error:
            name = f"The server at {self._place}"
            raise ServerLostError(name, f"it accepts no connection ({error})") from error


DatabaseServer = Postgres | GivenServer
CacheServer = Valkey | GivenServer


def database_server(url: str | None) -> AbstractContextManager[DatabaseServer]:
    """The Postgres at `url` (usually the environment's DATABASE_URL), or an embedded one when there is none.

    The embedded one listens on 127.0.0.1 and asks for a password, which every client library takes.

    Raises AddressError when `url` cannot be used, and as `Postgres` does.
    """
    if url:
        return nullcontext(GivenServer(url, ("postgresql", "postgres"), 5432))
    return Postgres(port=0, password=secrets.token_hex(16))


def cache_server(url: str | None) -> AbstractContextManager[CacheServer]:
    """The Redis or Valkey at `url` (usually the environment's REDIS_URL), or an embedded one when there is none.

    The embedded one listens on 127.0.0.1 and asks for a password.

    Raises AddressError when `url` cannot be used, and as `Valkey` does.
    """
    if url:
        return nullcontext(GivenServer(url, ("redis", "rediss", "unix"), 6379))
    return Valkey(port=0, password=secrets.token_hex(16))


def _place(url: str, schemes: tuple[str, ...], default_port: int) -> str | tuple[str, int]:
    """Path of the socket, or host and port; without the password that the address may hold."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    try:
        port = int(query.get("port") or parts.port or default_port)
    except ValueError:  # its text may be a piece of the password
        raise AddressError("its port is no number", schemes) from None
    if parts.scheme not in schemes:
        raise AddressError(f"it starts with {parts.scheme!r}", schemes)
    if parts.scheme == "unix":
        return unquote(parts.path)
    host = query.get("host") or unquote(parts.hostname or "localhost")
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
