"""Runs in the peer's own environment: `python peer_postgres_mcp.py URL WORKLOAD.json` prints CREATE INDEX statements.

WORKLOAD.json holds [{query, calls, avg_exec_time}], the same literal queries that the others get.
"""

import asyncio
import json
import sys
from pathlib import Path

from postgres_mcp.index.dta_calc import DatabaseTuningAdvisor
from postgres_mcp.sql import DbConnPool, SqlDriver


async def main(url: str, file: str) -> None:
    pool = DbConnPool(url)
    await pool.pool_connect()
    workload = json.loads(Path(file).read_text())
    result = await DatabaseTuningAdvisor(SqlDriver(conn=pool)).analyze_workload(workload=workload)
    await pool.close()
    if result.error:
        sys.exit(result.error)
    for index in result.recommendations:
        print(index.definition)


asyncio.run(main(sys.argv[1], sys.argv[2]))
