"""The machine a run was measured on: enough to judge its numbers, nothing that names its owner."""

import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

from easymo.embedded.machine import cores
from easymo.proof.verdict.file import Machine


def describe_machine(postgres: str, cache: str) -> Machine:
    """Describe this machine; ``postgres`` and ``cache`` are the servers' own version strings."""
    return Machine(
        cpu=_cpu_model(),
        cores=cores(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        python=platform.python_version(),
        postgres=postgres,
        cache=cache,
    )


def git_revision(folder: Path) -> str | None:
    """Commit of ``folder``, with ``-dirty`` when tracked files differ from it; None outside a checkout."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("-dirty" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _cpu_model() -> str:
    with suppress(OSError):  # macOS has no /proc
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
