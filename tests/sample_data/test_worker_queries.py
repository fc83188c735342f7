"""What the worker asks of Postgres all day is served by the note's indexes too."""

import asyncpg
import pytest

from easymo_platform.runtime.statements import read_statements
from easymo_platform.whatsapp_webhook.app import QUERIES


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_claim_is_served_by_the_recent_pending_index(note_database: str, mode: str) -> None:
    connection = await asyncpg.connect(note_database)
    try:
        await connection.execute(f"set plan_cache_mode = {mode}")
        await connection.execute(f"prepare claim as {read_statements(QUERIES)['claim_inbound'].text}")
        plan = "\n".join(row[0] for row in await connection.fetch("explain execute claim(10, '60 s')"))
    finally:
        await connection.close()
    assert "Index Scan using idx_whatsapp_messages_recent_pending" in plan
    assert "Seq Scan on whatsapp_messages" not in plan
