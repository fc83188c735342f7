"""The services of one machine, each in a process of its own, and how they are replaced without losing a request.

The parent holds the listening sockets and its children share them. So a service is replaced by starting the new
process, waiting until it is ready, and only then telling the old one to leave: at every moment one of them accepts.
"""

import asyncio
import contextlib
import ctypes
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from easymo_platform.operations.errors import OperationError
from easymo_platform.operations.serve import LISTENING

DELAY_S = 2
"""SHUTDOWN_DELAY_S of the services: longer than a client keeps an idle connection for its next request."""

_LAST_LINES = 15
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
        self.ended = asyncio.create_task(self._follow())
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)

    async def ready(self) -> None:
        """Wait until it listens. Raises OperationError when it ends before that."""
        either: set[asyncio.Future[Any]] = {self.url, self.ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self.url.done():
            raise self.stopped()

    async def _follow(self) -> int:
        """Pass its log on and wait for its end. Returns the exit code."""
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            line = raw.decode(errors="replace").rstrip()
            self._lines.append(line)
            sys.stderr.write(f"{self.name}: {line}\n")
            if not self.url.done():
                with contextlib.suppress(msgspec.DecodeError):
                    entry = msgspec.json.decode(raw, type=_LogLine)
                    if entry.event == LISTENING:
                        self.url.set_result(entry.url)
        return await self.process.wait()

    def stopped(self) -> OperationError:
        """What to say when it ends by itself."""
        last = "\n  ".join(self._lines) or "(it wrote nothing)"
        return OperationError(
            f"{self.name} stopped with exit code {self.process.returncode}. Its last lines:\n  {last}"
        )


class LocalServices:
    """All services of the platform on this machine. ``listeners`` are their sockets, by service, and stay open."""

    def __init__(self, environ: Mapping[str, str], listeners: Mapping[str, socket.socket]) -> None:
        self._environ = {"SHUTDOWN_DELAY_S": str(DELAY_S), **environ}
        self._listeners = listeners
        self._serving: dict[str, Service] = {}
        self._leaving: list[Service] = []
        self._watchers: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets the OperationError of the first service that ends by itself."""

    def __getitem__(self, name: str) -> Service:
        return self._serving[name]

    async def start(self) -> None:
        """Start all of them. Returns at once; :meth:`ready` waits."""
        for name in self._listeners:
            self._take_over(await self._spawn(name))

    async def ready(self) -> None:
        """Wait until every service listens; one that ends before that is found in :attr:`failed`."""
        await asyncio.gather(*(asyncio.shield(service.url) for service in self._serving.values()))

    async def restart(
        self, names: Sequence[str], variables: Mapping[str, str], report: Callable[[str, float], None]
    ) -> None:
        """Replace the services one by one, with ``variables`` set in the new processes and in all later ones.

        ``report`` gets the name and the seconds from the start of the new process until it serves. Returns when the
        old processes have answered what they had and are gone. Raises OperationError when a new process does not
        become ready: its predecessor then goes on serving, and so do the services that were not reached.
        """
        async with self._one_at_a_time:
            before, self._environ = self._environ, {**self._environ, **variables}
            for name in names:
                started = time.monotonic()
                new = await self._spawn(name)
                try:
                    await new.ready()
                except OperationError:
                    self._environ = before
                    raise
                old = self._serving[name]
                self._take_over(new)
                self._leaving.append(old)
                old.process.terminate()
                report(name, time.monotonic() - started)
            await asyncio.gather(*(self._gone(service) for service in self._leaving))
            self._leaving.clear()

    async def stop(self) -> None:
        """End all of them at once: what is under way is answered, but nobody waits for a proxy to notice."""
        for service in (*self._serving.values(), *self._leaving):
            if service.process.returncode is None:
                service.process.send_signal(signal.SIGINT)
        await asyncio.gather(*(self._gone(service) for service in (*self._serving.values(), *self._leaving)))
        for watcher in self._watchers:
            watcher.cancel()

    def _take_over(self, service: Service) -> None:
        self._serving[service.name] = service
        watcher = asyncio.create_task(self._watch(service))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    async def _watch(self, service: Service) -> None:
        await asyncio.shield(service.ended)
        if self._serving[service.name] is service and not self.failed.done():
            self.failed.set_exception(service.stopped())

    async def _gone(self, service: Service) -> None:
        try:
            async with asyncio.timeout(_STOP_S):
                await asyncio.shield(service.ended)
        except TimeoutError:
            service.process.kill()
            await service.ended

    async def _spawn(self, name: str) -> Service:
        descriptor = self._listeners[name].fileno()
        command = (sys.executable, "-m", "easymo_platform", "serve", name, "--fd", str(descriptor))
        process = await asyncio.create_subprocess_exec(
            *command,
            env=self._environ,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            pass_fds=(descriptor,),
            preexec_fn=end_with_parent,
        )
        return Service(name, process)


@asynccontextmanager
async def local_services(
    environ: Mapping[str, str], listeners: Mapping[str, socket.socket]
) -> AsyncIterator[LocalServices]:
    """All services for the length of the block, started but perhaps not ready yet when it begins."""
    services = LocalServices(environ, listeners)
    try:
        await services.start()
        yield services
    finally:
        await services.stop()
        if services.failed.done():
            services.failed.exception()  # whoever wanted to know has asked
        else:
            services.failed.cancel()


def end_with_parent() -> None:
    """For ``preexec_fn``: the process gets SIGINT when its parent dies, however it does."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
