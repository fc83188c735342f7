"""`python -m easymo_platform serve`: run one service in this process."""

import argparse
import asyncio
import importlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import cast

import structlog
import uvicorn
import uvloop
from litestar import Litestar

from easymo_platform.operations.errors import OperationError
from easymo_platform.runtime.connections import BoundedProtocol
from easymo_platform.runtime.errors import DatabaseError
from easymo_platform.runtime.logs import configure_logs
from easymo_platform.runtime.settings import SettingsError
from easymo_platform.sample_data.keys import user_id


@dataclass(frozen=True)
class ServiceEntry:
    """A service of the platform: the module whose ``create(environ)`` builds it, its usual port, a request to try.

    ``scope`` is what the example's token needs; ``None`` when it needs none.
    """

    module: str
    port: int
    example: str
    scope: str | None = None


LISTENING = "listening"
"""Event of the log line that a service writes once it is ready; its ``url`` is the address."""

_LINGER_S = 1.0  # for connections that were accepted, or reused, just before the end of the delay
_LINGER_CHECK_S = 0.05
_PLATFORM = "easymo_platform"
SERVICES: Mapping[str, ServiceEntry] = {
    "voice-bridge": ServiceEntry(f"{_PLATFORM}.voice_bridge.app", 4405, "/analytics/live-calls?limit=5", "voice:read"),
    "video-orchestrator": ServiceEntry(f"{_PLATFORM}.video_orchestrator.app", 4006, "/render?limit=5", "render:read"),
    "video-worker": ServiceEntry(f"{_PLATFORM}.video_orchestrator.worker_app", 4007, "/health/ready"),
    "whatsapp-webhook": ServiceEntry(f"{_PLATFORM}.whatsapp_webhook.app", 4900, "/messages", "whatsapp:read"),
    "whatsapp-worker": ServiceEntry(f"{_PLATFORM}.whatsapp_webhook.worker_app", 4901, "/health/ready"),
    "agent-core": ServiceEntry(f"{_PLATFORM}.agent_core.app", 4000, f"/sessions?user_id={user_id(0)}", "agent:read"),
}


def serve(name: str, listener: Callable[[], socket.socket], environ: Mapping[str, str]) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished first.

    ``listener`` is called once the settings are known to be right, and gives the listening socket.

    Raises:
        OperationError: for a port that is taken, settings that cannot work, or no database.
    """
    entry = SERVICES[name]
    # Imported here: a service need not load what the others stand on.
    create = cast(Callable[[Mapping[str, str]], Litestar], importlib.import_module(entry.module).create)
    try:
        app = create(environ)
    except SettingsError as error:
        raise OperationError(f"{name} cannot start: {error}") from error
    configure_logs(name, app.state.runtime.settings.log_level)
    logging.getLogger(__name__).setLevel(
        logging.INFO
    )  # whoever started it waits for LISTENING, whatever LOG_LEVEL says
    with listener() as listening:
        unreachable: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(app, listening))
        except* DatabaseError as errors:  # Litestar starts in a task group
            unreachable = errors
        while isinstance(unreachable, BaseExceptionGroup):
            unreachable = unreachable.exceptions[0]
        if unreachable is not None:
            raise OperationError(f"{name} cannot start: {unreachable}") from unreachable


class _Server(uvicorn.Server):
    """Leaves in the order that loses no request: SIGTERM is announced first, and carried out ``delay_s`` later.

    Meanwhile readiness says 503, so that a proxy sends its requests elsewhere, and each answer closes its connection,
    so that no keep-alive connection is cut under a request. Ctrl-C, a second SIGTERM and a delay of 0 skip this.
    """

    def __init__(self, config: uvicorn.Config, draining: asyncio.Event, delay_s: float) -> None:
        super().__init__(config)
        self._draining = draining
        self._delay_s = delay_s
        self._leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGTERM and self.started and self._delay_s and self._leave_at is None:
            self._captured_signals.append(sig)
            self._leave_at = time.monotonic() + self._delay_s
            self._draining.set()
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        until = time.monotonic() + (_LINGER_S if self._draining.is_set() else 0)
        while self.server_state.connections and time.monotonic() < until:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(_LINGER_CHECK_S)
        await super().shutdown(sockets)


async def _serve(app: Litestar, listener: socket.socket) -> None:
    """Connect first, accept requests, stop accepting, disconnect last."""
    runtime = app.state.runtime
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # TRUSTED_PROXIES decides whose X-Forwarded-For counts; uvicorn would believe this machine
        timeout_graceful_shutdown=runtime.settings.shutdown_grace_s,
    )
    server = _Server(config, runtime.draining, runtime.settings.shutdown_delay_s)
    for number in (signal.SIGTERM, signal.SIGINT):
        # While it connects, and when uvicorn raises the signal again after the last request.
        signal.signal(number, server.handle_exit)
    async with app.lifespan():
        address = listener.getsockname()
        host = f"[{address[0]}]" if listener.family == socket.AF_INET6 else address[0]
        structlog.get_logger(__name__).info(LISTENING, url=f"http://{host}:{address[1]}")
        await server.serve(sockets=[listener])


def listen(name: str, host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises :class:`OperationError` when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # create_server() adds the address to strerror, a host that has none brings its own number.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise OperationError(
            f"{name} cannot listen on {host}:{port}: {reason}. Stop what uses the port, or choose another with --port."
        ) from error


def main(arguments: list[str]) -> int:
    """Parse and serve. Returns 0 after SIGTERM or Ctrl-C, 1 when the service cannot start."""
    parser = argparse.ArgumentParser(
        prog="python -m easymo_platform serve",
        description="Run one service until SIGTERM or Ctrl-C. Reads DATABASE_URL, REDIS_URL, REDIS_ENABLED, "
        "DATABASE_POOL_SIZE, LOG_LEVEL, SHUTDOWN_DELAY_S, SHUTDOWN_GRACE_S and the service's own settings from the "
        "environment.",
        epilog="Example: DATABASE_URL=postgresql://localhost/easymo python -m easymo_platform serve voice-bridge",
    )
    parser.add_argument("name", choices=SERVICES, metavar="NAME", help=", ".join(SERVICES))
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get("PORT"),
        help="default: $PORT, or the service's usual port; 0 takes a free one",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--fd", type=int, help="serve on a listening socket that the parent process has opened")
    options = parser.parse_args(arguments)

    def listener() -> socket.socket:
        if options.fd is not None:
            return socket.socket(fileno=options.fd)
        port = SERVICES[options.name].port if options.port is None else options.port
        return listen(options.name, options.host, port)

    try:
        serve(options.name, listener, os.environ)
    except OperationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
