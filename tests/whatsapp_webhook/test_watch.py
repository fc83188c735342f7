"""The gauges of the queue, seen while no worker is alive."""

import asyncpg

from tests.whatsapp_webhook.client import until, webhook

MESSAGE = """
insert into whatsapp_messages (direction, from_number, to_number, message_type, created_at)
values ($1, '+250700000001', '+250700000999', 'text', now() - interval '90 s')
"""
LETTER = """
insert into webhook_dlq (correlation_id, phone_number, payload, error, error_type, attempts)
values ('1', '+250700000001', '{}', 'agent-core did not answer', 'timeout', 4)
"""


async def test_depth_age_and_dead_letters_are_told_without_a_worker(
    environ: dict[str, str], database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await database.executemany(MESSAGE, [("inbound",), ("inbound",), ("outbound",)])
    await database.execute(LETTER)
    figures: dict[str, float] = {}
    async with webhook(environ) as client:

        async def looked() -> bool:
            page = (await client.get("/metrics")).text
            lines = [line.rsplit(" ", 1) for line in page.splitlines() if line.startswith("webhook_queue_")]
            figures.update((name, float(value)) for name, value in lines)
            return any(figures.values())

        await until(looked)
    age_s = figures.pop('webhook_queue_age_seconds{service="whatsapp-webhook"}')
    assert 90 <= age_s < 600
    assert figures == {
        f'webhook_queue_depth{{queue="{queue}",service="whatsapp-webhook"}}': depth
        for queue, depth in (("inbound", 2), ("outbound", 1), ("dead_letters", 1), ("handoffs", 0), ("events", 0))
    }
