"""How each peer is asked: given a database and the literal queries of its workload, it answers with CREATE INDEX."""

import asyncio
import json
import re
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg

from easymo.indexes.hotqueries import HotQuery

Peer = Callable[[str, Sequence[HotQuery], dict[str, float]], Awaitable[list[str]]]
"""Asked with the address, the queries, and the ms of each as things are."""


def index_advisor(file: Path) -> Peer:
    """Supabase's function, asked for each query; what it says for any of them is built."""

    async def run(url: str, queries: Sequence[HotQuery], _: dict[str, float]) -> list[str]:
        connection = await asyncpg.connect(url, statement_cache_size=0)
        await connection.execute(file.read_text())
        found: dict[str, None] = {}
        for query in queries:
            for row in await connection.fetch("select index_statements from index_advisor($1)", query.text):
                found |= dict.fromkeys(row[0] or ())
        await connection.close()
        return list(found)

    return run


def postgres_mcp(python: str) -> Peer:
    """Its tuning advisor, given the whole workload with its rates and times."""

    async def run(url: str, queries: Sequence[HotQuery], before_ms: dict[str, float]) -> list[str]:
        workload = [{"query": q.text, "calls": q.calls_per_minute, "avg_exec_time": before_ms[q.name]} for q in queries]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(workload, file)
            file.flush()
            command = [python, str(Path(__file__).with_name("peer_postgres_mcp.py")), url, file.name]
            return await asyncio.to_thread(_lines, command)

    return run


def dexter(binary: str) -> Peer:
    """All queries in one call: of some that differ in constants only it looks at the last, so the most costly."""

    async def run(url: str, queries: Sequence[HotQuery], before_ms: dict[str, float]) -> list[str]:
        command = [binary, url]
        for query in sorted(queries, key=lambda one: one.calls_per_minute * before_ms[one.name]):
            command += ["--statement", query.text]
        statements = []
        for line in await asyncio.to_thread(_lines, command):
            if found := re.fullmatch(r"Index found: ([^.]+)\.(.+) \((.+)\)", line):
                columns = ", ".join(f'"{column}"' for column in found[3].split(", "))
                statements.append(f'CREATE INDEX ON "{found[1]}"."{found[2]}" ({columns})')
            elif line != "No new indexes found":
                raise RuntimeError(line)
        return statements

    return run


def _lines(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return [line for line in done.stdout.splitlines() if line.strip()]
