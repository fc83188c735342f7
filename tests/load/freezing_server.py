"""A server that answers at once, but stands still for 200 ms every 5 s. Prints its port when it listens."""

import asyncio
import sys
import time
from typing import cast

import uvloop

FREEZE_S = 0.2
EVERY_S = 5.0
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=2048)

    def freeze() -> None:
        loop.call_later(EVERY_S, freeze)
        time.sleep(FREEZE_S)  # the whole process stands still: that is what it is for

    loop.call_later(EVERY_S / 2, freeze)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until the parent goes away


if __name__ == "__main__":
    uvloop.run(main())
