"""`python -m easymo_platform up`: the whole platform on this machine, until Ctrl-C."""

import argparse
import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from easymo.embedded import CacheServer, DatabaseServer, EmbeddedError, cache_server, database_server
from easymo_platform.operations.credentials import ENVIRONMENT_FILE, credentials, environment_file
from easymo_platform.operations.errors import OperationError
from easymo_platform.operations.local.control import CONTROL, control_socket
from easymo_platform.operations.local.rolling import LocalServices, end_with_parent, local_services
from easymo_platform.operations.serve import SERVICES, listen
from easymo_platform.runtime.addresses import without_password
from easymo_platform.sample_data.keys import SCALES

_CHECK_SERVERS_S = 1.0


async def run(
    database: DatabaseServer,
    redis_url: str | None,
    listeners: Mapping[str, socket.socket],
    options: argparse.Namespace,
    stop: asyncio.Event,
) -> None:
    """Prepare the database, start the services, print every address, wait for ``stop``.

    Raises:
        OperationError: when the database cannot be prepared or a service ends by itself.
        EmbeddedError: when Postgres is lost.
    """
    environ = {**os.environ, "DATABASE_URL": database.url}
    environ |= {"REDIS_URL": redis_url} if redis_url else {"REDIS_ENABLED": "false"}
    environ |= credentials(environ)
    addresses = {f"{name.upper().replace('-', '_')}_URL": _url(listener) for name, listener in listeners.items()}
    environ |= {name: environ.get(name) or url for name, url in addresses.items()}
    await _command(environ, stop, "migrate")
    scale = options.scale or ("note" if database.embedded else None)
    if scale is not None and not stop.is_set() and await _is_empty(database.url):
        await _command(environ, stop, "sample-data", "--scale", scale, "--seed", str(options.seed))
    if stop.is_set():
        return
    with tempfile.TemporaryDirectory(prefix="easymo-render-") as folder:
        environ.setdefault("RENDER_DIR", folder)
        async with local_services(environ, listeners) as services, control_socket(services) as control:
            names = ("DATABASE_URL", "REDIS_URL", *credentials(environ), *addresses)
            handed_over = {name: environ[name] for name in names if name in environ}
            handed_over |= {
                CONTROL: str(control),
                "PATH": f"{os.path.dirname(sys.executable)}:{environ.get('PATH', '')}",
            }
            with environment_file(options.env_file, handed_over):
                await _supervise(
                    services, lambda: _print_addresses(environ, options.env_file, services), database, stop
                )


async def _supervise(
    services: LocalServices, say_ready: Callable[[], None], database: DatabaseServer, stop: asyncio.Event
) -> None:
    """Say when all are ready and go on until ``stop``. Raises what ends it before."""
    stopping, ready = asyncio.create_task(stop.wait()), asyncio.create_task(services.ready())
    waiting: set[asyncio.Future[Any]] = {stopping, ready, services.failed}
    try:
        while not stopping.done():
            done, waiting = await asyncio.wait(waiting, timeout=_CHECK_SERVERS_S, return_when=asyncio.FIRST_COMPLETED)
            if services.failed.done():
                services.failed.result()
            if ready in done:
                say_ready()
            database.check()
    finally:
        stopping.cancel()
        ready.cancel()


async def _command(environ: Mapping[str, str], stop: asyncio.Event, *arguments: str) -> None:
    """Run a command of the platform to its end, or until ``stop``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "easymo_platform",
        *arguments,
        env=environ,
        start_new_session=True,
        preexec_fn=end_with_parent,
    )
    ended, stopping = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
    await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not ended.done():
        process.terminate()
        await ended
    elif process.returncode != 0:
        raise OperationError(f"`{' '.join(arguments)}` failed with exit code {process.returncode}; it said why above.")


async def _is_empty(database_url: str) -> bool:
    connection = await asyncpg.connect(database_url)
    try:
        return not await connection.fetchval("select exists (select from users)")
    finally:
        await connection.close()


@contextmanager
def _listeners(options: argparse.Namespace) -> Iterator[dict[str, socket.socket]]:
    """A listening socket per service, open before any of them runs, since others must find it."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(listen(name, options.host, 0 if options.free_ports else entry.port))
            for name, entry in SERVICES.items()
        }


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def _print_addresses(environ: Mapping[str, str], env_file: Path | None, services: LocalServices) -> None:
    redis = environ["REDIS_URL"] if environ.get("REDIS_ENABLED") != "false" else "off (REDIS_ENABLED=false)"
    lines = [f"Postgres       {without_password(environ['DATABASE_URL'])}", f"Redis/Valkey   {without_password(redis)}"]
    lines += [f"Render files   {environ['RENDER_DIR']} (clips go into its folder media; RENDER_DIR names another)"]
    for name, entry in SERVICES.items():
        url = services[name].url.result()
        asked = entry.scope is not None and environ.get("AUTH_DISABLED") != "true"
        token = f'-H "Authorization: Bearer $(python -m easymo_platform token {name} {entry.scope})" '
        lines += [f"{name:<14} {url}", f"  curl -i {token if asked else ''}'{url}{entry.example}'"]
        lines += [f"  curl -i '{url}{path}'" for path in ("/health", "/metrics")]
    if env_file is not None:
        lines += [f"Addresses, keys and the PATH of these commands: `. {env_file}` in another shell."]
    sys.stdout.write("\n".join((*lines, "Ctrl-C stops everything.", "")))
    sys.stdout.flush()


async def _until_signalled(
    database: DatabaseServer,
    redis_url: str | None,
    listeners: Mapping[str, socket.socket],
    options: argparse.Namespace,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(database, redis_url, listeners, options, stop)


@contextmanager
def _cache(environ: Mapping[str, str]) -> Iterator[CacheServer | None]:
    if environ.get("REDIS_ENABLED", "").lower() in ("false", "0"):
        yield None
        return
    with cache_server(environ.get("REDIS_URL")) as server:
        yield server


def main(arguments: list[str]) -> int:
    """Parse and run. Returns 0 after Ctrl-C or SIGTERM, 1 when something could not start or stopped by itself."""
    parser = argparse.ArgumentParser(
        prog="python -m easymo_platform up",
        description="Start Postgres and Valkey (or use DATABASE_URL and REDIS_URL), migrate, load sample data if the "
        "database is empty, start every service and print the addresses. Ctrl-C stops everything and removes it.",
        epilog="Example: python -m easymo_platform up --scale note",
    )
    parser.add_argument("--scale", choices=SCALES, help="sample data (default: note; nothing into your own database)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample data (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address the services listen on (default: %(default)s)")
    parser.add_argument("--free-ports", action="store_true", help="take free ports instead of the services' usual ones")
    parser.add_argument(
        "--env-file",
        type=Path,
        metavar="FILE",
        help=f"addresses and keys for other shells (default: {ENVIRONMENT_FILE}; with --free-ports none)",
    )
    options = parser.parse_args(arguments)
    options.env_file = options.env_file or (None if options.free_ports else ENVIRONMENT_FILE)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))  # while the servers start
    try:
        with (
            _listeners(options) as listeners,
            database_server(os.environ.get("DATABASE_URL")) as database,
            _cache(os.environ) as cache,
        ):
            asyncio.run(_until_signalled(database, cache.url if cache else None, listeners, options))
    except (OperationError, EmbeddedError, OSError, asyncpg.PostgresError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
