"""`python -m easymo_platform up`: the whole platform on this machine, until Ctrl-C."""

import argparse
import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from easymo.embedded import CacheServer, DatabaseServer, EmbeddedError, cache_server, database_server
from easymo_platform.operations.credentials import ENVIRONMENT_FILE, credentials, environment_file
from easymo_platform.operations.errors import OperationError
from easymo_platform.operations.serve import LISTENING, SERVICES, listen
from easymo_platform.sample_data.keys import SCALES

_LAST_LINES = 15
_CHECK_SERVERS_S = 1.0
_STOP_S = 30
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_libc = ctypes.CDLL(None)


class _LogLine(msgspec.Struct):
    event: str = ""
    url: str = ""


class Service:
    """One service in a process of its own."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.lines: deque[str] = deque(maxlen=_LAST_LINES)

    async def follow(self) -> int:
        """Pass its log on and wait for its end. Returns the exit code."""
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            line = raw.decode(errors="replace").rstrip()
            self.lines.append(line)
            sys.stderr.write(f"{self.name}: {line}\n")
            if not self.url.done():
                with contextlib.suppress(msgspec.DecodeError):
                    entry = msgspec.json.decode(raw, type=_LogLine)
                    if entry.event == LISTENING:
                        self.url.set_result(entry.url)
        return await self.process.wait()

    def stopped(self) -> OperationError:
        """What to say when it ends by itself."""
        last = "\n  ".join(self.lines) or "(it wrote nothing)"
        return OperationError(
            f"{self.name} stopped with exit code {self.process.returncode}. Its last lines:\n  {last}"
        )


async def run(
    database: DatabaseServer, redis_url: str | None, options: argparse.Namespace, stop: asyncio.Event
) -> None:
    """Prepare the database, start the services, print every address, wait for ``stop``.

    Raises:
        OperationError: when the database cannot be prepared or a service ends by itself.
        EmbeddedError: when Postgres is lost.
    """
    environ = {**os.environ, "DATABASE_URL": database.url}
    environ |= {"REDIS_URL": redis_url} if redis_url else {"REDIS_ENABLED": "false"}
    environ |= credentials(environ)
    ports = {name: _port(name, options) for name in SERVICES}
    addresses = {f"{name.upper().replace('-', '_')}_URL": f"http://{options.host}:{ports[name]}" for name in SERVICES}
    environ |= {name: environ.get(name) or url for name, url in addresses.items()}
    await _command(environ, stop, "migrate")
    scale = options.scale or ("note" if database.embedded else None)
    if scale is not None and not stop.is_set() and await _is_empty(database.url):
        await _command(environ, stop, "sample-data", "--scale", scale, "--seed", str(options.seed))
    if stop.is_set():
        return
    with tempfile.TemporaryDirectory(prefix="easymo-render-") as folder:
        environ.setdefault("RENDER_DIR", folder)
        handed_over = {name: environ[name] for name in ("DATABASE_URL", *credentials(environ), *addresses)}
        handed_over["PATH"] = f"{os.path.dirname(sys.executable)}:{environ.get('PATH', '')}"
        with environment_file(options.env_file, handed_over):
            async with _services(environ, options.host, ports) as services:
                await _supervise(
                    services, lambda: _print_addresses(environ, options.env_file, services), database, stop
                )


async def _supervise(
    services: list[Service], say_ready: Callable[[], None], database: DatabaseServer, stop: asyncio.Event
) -> None:
    """Say when all are ready, go on until ``stop``, then end them."""
    endings: dict[asyncio.Task[Any], Service] = {asyncio.create_task(service.follow()): service for service in services}
    stopping = asyncio.create_task(stop.wait())
    ready = asyncio.create_task(_all_ready(services))
    waiting: set[asyncio.Task[Any]] = {stopping, ready, *endings}
    try:
        while not stopping.done():
            done, waiting = await asyncio.wait(waiting, timeout=_CHECK_SERVERS_S, return_when=asyncio.FIRST_COMPLETED)
            for task in done & endings.keys():
                raise endings[task].stopped()
            if ready in done:
                say_ready()
            database.check()
    finally:
        stopping.cancel()
        ready.cancel()
        await _stop(services)
        await asyncio.gather(*endings)


async def _all_ready(services: list[Service]) -> None:
    await asyncio.gather(*(service.url for service in services))


@asynccontextmanager
async def _services(environ: Mapping[str, str], host: str, ports: Mapping[str, int]) -> AsyncIterator[list[Service]]:
    services: list[Service] = []
    try:
        for name, port in ports.items():
            command = (sys.executable, "-m", "easymo_platform", "serve", name, "--host", host, "--port", str(port))
            process = await asyncio.create_subprocess_exec(
                *command,
                env=environ,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
            services.append(Service(name, process))
        yield services
    finally:
        await _stop(services)


async def _stop(services: list[Service]) -> None:
    for service in services:
        if service.process.returncode is None:
            service.process.terminate()
    for service in services:
        try:
            async with asyncio.timeout(_STOP_S):
                await service.process.wait()
        except TimeoutError:
            service.process.kill()
            await service.process.wait()


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


async def _command(environ: Mapping[str, str], stop: asyncio.Event, *arguments: str) -> None:
    """Run a command of the platform to its end, or until ``stop``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "easymo_platform",
        *arguments,
        env=environ,
        start_new_session=True,
        preexec_fn=_end_with_parent,
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


def _port(name: str, options: argparse.Namespace) -> int:
    """Known before the service runs, since others must find it."""
    if not options.free_ports:
        return SERVICES[name].port
    with listen(name, options.host, 0) as free:
        return int(free.getsockname()[1])


def _print_addresses(environ: Mapping[str, str], env_file: Path | None, services: list[Service]) -> None:
    redis = environ["REDIS_URL"] if environ.get("REDIS_ENABLED") != "false" else "off (REDIS_ENABLED=false)"
    lines = [f"Postgres       {environ['DATABASE_URL']}", f"Redis/Valkey   {redis}"]
    lines += [f"Render files   {environ['RENDER_DIR']} (clips go into its folder media; RENDER_DIR names another)"]
    for service in services:
        entry, url = SERVICES[service.name], service.url.result()
        asked = entry.scope is not None and environ.get("AUTH_DISABLED") != "true"
        token = f'-H "Authorization: Bearer $(python -m easymo_platform token {service.name} {entry.scope})" '
        lines += [f"{service.name:<14} {url}", f"  curl -i {token if asked else ''}'{url}{entry.example}'"]
        lines += [f"  curl -i '{url}{path}'" for path in ("/health", "/metrics")]
    if env_file is not None:
        lines += [f"Addresses, keys and the PATH of these commands: `. {env_file}` in another shell."]
    sys.stdout.write("\n".join((*lines, "Ctrl-C stops everything.", "")))
    sys.stdout.flush()


async def _until_signalled(database: DatabaseServer, redis_url: str | None, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(database, redis_url, options, stop)


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
        if not options.free_ports:
            for name, entry in SERVICES.items():
                listen(name, options.host, entry.port).close()
        with database_server(os.environ.get("DATABASE_URL")) as database, _cache(os.environ) as cache:
            asyncio.run(_until_signalled(database, cache.url if cache else None, options))
    except (OperationError, EmbeddedError, OSError, asyncpg.PostgresError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
