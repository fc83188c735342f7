"""A server that answers at once, but stands still for 200 ms every 5 s: `python freezing_server.py [steady]`.

`steady` leaves the standing still out. Prints its port when it listens. When its standard input ends, it prints as JSON
what it did by its own clock (`time.monotonic_ns()`, the same for all processes of a machine): see `Account`.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

FREEZE_S = 0.2
EVERY_S = 5.0
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_DUE = b"GET /due/"


@dataclass
class Account:
    """`freezes` are pairs of begin and end; `answered` has, for each path `/due/MS`, MS and when it was answered."""

    requests: int = 0
    first_ns: int = 0
    last_ns: int = 0
    freezes: list[tuple[int, int]] = field(default_factory=list)
    answered: list[tuple[int, int]] = field(default_factory=list)


class Answering(asyncio.Protocol):
    def __init__(self, account: Account) -> None:
        self._account = account

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER)
        account, now_ns = self._account, time.monotonic_ns()
        account.requests += 1
        account.first_ns = account.first_ns or now_ns
        account.last_ns = now_ns
        if data.startswith(_DUE):
            account.answered.append((int(data[len(_DUE) : data.index(b" ", len(_DUE))]), now_ns))


async def main() -> None:
    loop = asyncio.get_running_loop()
    account = Account()
    server = await loop.create_server(lambda: Answering(account), "127.0.0.1", 0, backlog=2048)

    def freeze() -> None:
        loop.call_later(EVERY_S, freeze)
        begin_ns = time.monotonic_ns()
        time.sleep(FREEZE_S)  # the whole process stands still: that is what it is for
        account.freezes.append((begin_ns, time.monotonic_ns()))

    if sys.argv[1:] != ["steady"]:
        loop.call_later(EVERY_S / 2, freeze)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until the parent goes away
    print(json.dumps(asdict(account)), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
