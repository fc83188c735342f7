"""Free TCP ports of 127.0.0.1 that nobody takes between the search and the server's start.

A lease is a UDP socket bound to the same number: two runs never choose one port, and the kernel ends the lease with its
process. The ports lie below those that the kernel gives to outgoing connections.
"""

import random
import socket
from contextlib import closing
from pathlib import Path

_FIRST, _LAST = 20_000, 60_999
_LEAST_CHOICE = 1_000
_ATTEMPTS = 200


def lease_port() -> socket.socket:
    """A lease on a free port: `lease.getsockname()[1]`. Keep it open while the port is in use; close it afterwards.

    Raises OSError when no free port is found.
    """
    last = _below_outgoing(Path("/proc/sys/net/ipv4/ip_local_port_range"))
    for _ in range(_ATTEMPTS):
        port = random.randint(_FIRST, last)
        lease = socket.socket(type=socket.SOCK_DGRAM)
        try:
            lease.bind(("127.0.0.1", port))
            with closing(socket.socket()) as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            lease.close()
            continue
        return lease
    raise OSError(f"no free TCP port of 127.0.0.1 was found between {_FIRST} and {last}")


def _below_outgoing(setting: Path) -> int:
    try:
        last = int(setting.read_text().split()[0]) - 1
    except (OSError, ValueError, IndexError):  # macOS: outgoing connections begin at 49152
        last = 49_151
    return last if last - _FIRST >= _LEAST_CHOICE else _LAST
