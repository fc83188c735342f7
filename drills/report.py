"""What a drill leaves: a page for people and JSON for the documents that quote it."""

import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil


def write_evidence(out: Path | None, name: str, result: Any, page: str) -> None:
    """Print the page; into ``out``, if given, go ``name.md`` and ``name.json``, which says when and where too."""
    sys.stdout.write(page)
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    machine = {
        "cores": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
    }
    created = datetime.now(UTC).isoformat(timespec="seconds")
    document = {"created": created, "machine": machine, "result": msgspec.to_builtins(result)}
    (out / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    (out / f"{name}.md").write_text(page, encoding="utf-8")
