"""How much memory and how many cores this process may use."""

import os
from contextlib import suppress
from pathlib import Path

# What a container sees as its own limit: of control groups version 2, and 1.
_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")


def memory_bytes(cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """The machine's memory, or the container's limit where that is lower."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in _LIMITS:
        with suppress(OSError, ValueError):  # no such version, or "max"
            memory = min(memory, int((cgroups / limit).read_text()))
    return memory


def cores() -> int:
    """The cores that this process may be scheduled on."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone
    return len(affinity(0)) if affinity else os.cpu_count() or 1
