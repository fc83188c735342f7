"""How much memory and how many cores this process may use."""

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc")


def memory_bytes(cgroups: Path = _CGROUPS, proc: Path = _PROC) -> int:
    """The machine's memory, or the limit of the control group (a container's) where that is lower."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([total, *_limits(cgroups, proc)])


def cores() -> int:
    """The cores that this process may be scheduled on."""
    return len(os.sched_getaffinity(0))


def _limits(cgroups: Path, proc: Path) -> list[int]:
    """Memory limits of the control group and of those above it, version 2 (`memory.max`) or 1 (`limit_in_bytes`)."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return []
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, file = cgroups, "memory.max"
        elif "memory" in controllers.split(","):
            top, file = cgroups / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(top):
                limits += _limit(folder / file)
    return limits


def _limit(file: Path) -> list[int]:
    try:
        return [int(file.read_text())]
    except (OSError, ValueError):  # no such group from inside a container, or "max"
        return []
