"""Services of the platform as processes that can be ended, killed and started again on the same port."""

import asyncio
import os
import random
import signal
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from easymo_platform.operations.serve import LISTENING

KEY = "key-of-the-drills-on-scratch-servers"
SECRET = "secret-of-the-drills"

# Below the ports that the kernel gives to clients: else a connection of the load could take the port of a service
# that is just being restarted.
_PORTS = range(20_000, 32_000)
_START_WITHIN_S = 120
_END_WITHIN_S = 120
_LAST_LINES = 20


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nobody listens."""
    found: list[int] = []
    start = random.SystemRandom().randrange(len(_PORTS))
    for port in (_PORTS[(start + i) % len(_PORTS)] for i in range(len(_PORTS))):
        if len(found) == count:
            return found
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        found.append(port)
    raise AssertionError(f"fewer than {count} of the ports {_PORTS.start} to {_PORTS.stop} are free")


def environment(database_url: str, redis_url: str, **more: str) -> dict[str, str]:
    """What the services of a drill read; the keys are for servers that live as long as the drill: no secrets."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATABASE_POOL_SIZE": "4",
        "LOG_LEVEL": "info",
        "SERVICE_JWT_KEYS": KEY,
        "WHATSAPP_APP_SECRET": SECRET,
        "WHATSAPP_VERIFY_TOKEN": "token-of-the-drills",
        # The load replies to sessions that the sample data has left open; the sweeper would end them meanwhile.
        "VOICE_SWEEP_INTERVAL_S": "86400",
        "AGENT_SWEEP_INTERVAL_S": "86400",
        **more,
    }


class Replica:
    """One process of a service."""

    def __init__(self, service: str, port: int, environ: Mapping[str, str]) -> None:
        self.service = service
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._environ = dict(environ)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._listening: asyncio.Event = asyncio.Event()
        self.lines: deque[str] = deque(maxlen=_LAST_LINES)

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process is not None, f"{self.service} was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Returns once it is ready."""
        command = (sys.executable, "-m", "easymo_platform", "serve", self.service, "--port", str(self.port))
        self._listening = asyncio.Event()
        self._process = await asyncio.create_subprocess_exec(
            *command, env=self._environ, stderr=asyncio.subprocess.PIPE, limit=1 << 20
        )
        self._reader = asyncio.create_task(self._read(self._process))
        listening = asyncio.create_task(self._listening.wait())
        await asyncio.wait({listening, self._reader}, timeout=_START_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if not self._listening.is_set():
            raise AssertionError(f"{self.service} did not start:\n" + "\n".join(self.lines))

    async def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Signal it if it runs, and wait for its end. Returns the exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(by)
        async with asyncio.timeout(_END_WITHIN_S):
            await self._process.wait()
            if self._reader is not None:
                await self._reader
        return self._process.returncode or 0

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        mark = f'"event":"{LISTENING}"'
        async for raw in process.stderr:
            line = raw.decode(errors="replace").rstrip()
            self.lines.append(line)
            if mark in line:
                self._listening.set()


@asynccontextmanager
async def running(replicas: list[Replica]) -> AsyncIterator[None]:
    """All of them, from ready until the end of the block."""
    try:
        for replica in replicas:
            await replica.start()
        yield
    finally:
        await asyncio.gather(*(replica.end(signal.SIGKILL) for replica in replicas if replica.running))
