"""Debian's haproxy in front of the replicas of services, with their readiness as its health check."""

import asyncio
import csv
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drills.fleet import Replica, free_ports
from tests.indexes.servers import SEARCHED

_READY_WITHIN_S = 60

_SETTINGS = """\
global
    maxconn 4000
    stats socket {socket} mode 600 level operator
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout check 30s
    retries 3
    option redispatch
    option httpchk GET /health/ready
    default-server check inter 200ms fall 1 rise 1
"""


def haproxy() -> str:
    """The program; a failure in CI and a loud skip elsewhere when it is missing."""
    found = shutil.which("haproxy", path=SEARCHED)
    if found is None:
        message = "haproxy is not installed, so nothing was restarted behind it: apt-get install haproxy"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


def settings(socket: Path, ports: Mapping[str, int], replicas: Sequence[Replica]) -> str:
    """haproxy.cfg: one address per service, and behind it all replicas of the service in turn."""
    lines = [_SETTINGS.format(socket=socket)]
    for service, port in ports.items():
        lines += [f"listen {service}", f"    bind 127.0.0.1:{port}", "    balance roundrobin"]
        ours = (replica for replica in replicas if replica.service == service)
        lines += [f"    server {server(replica)} 127.0.0.1:{replica.port}" for replica in ours]
    return "\n".join((*lines, ""))


def server(replica: Replica) -> str:
    """What the proxy calls a replica."""
    return f"port-{replica.port}"


class Proxy:
    """A running haproxy: ``urls`` by service, and what it thinks of the replicas."""

    def __init__(self, urls: Mapping[str, str], socket: Path) -> None:
        self.urls = urls
        self._socket = socket

    async def states(self) -> dict[str, str]:
        """``UP`` or ``DOWN`` (or between the two) of each replica, by :func:`server`."""
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        writer.write(b"show stat\n")
        text = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        return {row["svname"]: row["status"] for row in rows if row["svname"].startswith("port-")}

    async def until(self, replica: Replica, state: str) -> None:
        """Wait until it thinks that of the replica."""
        async with asyncio.timeout(_READY_WITHIN_S):
            while (await self.states()).get(server(replica)) != state:  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.05)


@asynccontextmanager
async def proxied(replicas: Sequence[Replica]) -> AsyncIterator[Proxy]:
    """A proxy for the length of the block, from when every replica, already started, is up for it."""
    services = list(dict.fromkeys(replica.service for replica in replicas))
    ports = dict(zip(services, free_ports(len(services)), strict=True))
    with tempfile.TemporaryDirectory(prefix="easymo-drill-") as name:
        folder = Path(name)
        file, socket = folder / "haproxy.cfg", folder / "admin"
        file.write_text(settings(socket, ports, replicas))
        process = await asyncio.create_subprocess_exec(
            haproxy(), "-db", "-f", str(file), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await _until_there(socket, process)
            proxy = Proxy({service: f"http://127.0.0.1:{port}" for service, port in ports.items()}, socket)
            for replica in replicas:
                await proxy.until(replica, "UP")
            yield proxy
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _until_there(socket: Path, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_READY_WITHIN_S):
        while not socket.exists():
            assert process.returncode is None, f"haproxy ended with {process.returncode}"
            await asyncio.sleep(0.02)
