"""A storm: thousands of messages wait while no worker runs, then one drains them, with the limits as they are by
default.

    python -m drills.whatsapp_webhook.storm --messages 9000 --out evidence/operations

Everything runs in processes of its own on embedded servers: agent-core (rules), whatsapp-webhook, a worker. What must
hold: no dead letter, every message answered, each number in order, and the oldest never starved by the newest.
"""

import argparse
import asyncio
import random
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from drills.report import write_evidence
from easymo.embedded import cache_server, database_server
from easymo_platform.operations.local.rolling import local_services
from easymo_platform.operations.migrate import migrate
from easymo_platform.operations.serve import listen
from easymo_platform.runtime.identity import uuid7

_SECRETS = {
    "SERVICE_JWT_KEYS": "key-of-the-storm-which-is-long-enough",
    "WHATSAPP_APP_SECRET": "app-secret-of-the-storm",
    "WHATSAPP_VERIFY_TOKEN": "verify-token-of-the-storm",
    "TWILIO_AUTH_TOKEN": "token-of-the-storm",
    "LOG_LEVEL": "warning",
}
_STORE = """
insert into whatsapp_messages (id, wamid, direction, from_number, to_number, phone_number_id, message_type, body,
payload, status,
  next_attempt_at, created_at, provider_ts)
select m.id, m.wamid, 'inbound', m.from_number, '+250700000999', '104857600000999', 'text', m.body,
  json_build_object('id', m.wamid, 'type', 'text', 'text', json_build_object('body', m.body)), 'pending', now(),
  now() + m.place * interval '1 microsecond', now() + m.place * interval '1 microsecond'
from rows from (json_to_recordset($1::json) as (id uuid, wamid text, from_number text, body text)) with ordinality
  as m (id, wamid, from_number, body, place)
"""
_WINDOWS = """
insert into whatsapp_conversations (phone_number, last_inbound_at)
select distinct from_number, now() from whatsapp_messages on conflict do nothing
"""
_LEFT = "select count(*) from whatsapp_messages where direction = 'inbound' and status in ('pending', 'processing')"
_OUT_OF_ORDER = """
select count(*) from (
  select created_at, lag(created_at) over (partition by from_number order by updated_at) as before
  from whatsapp_messages where direction = 'inbound' and status = 'processed'
) m where before > created_at
"""
_SAID = (
    "I need a moto to the airport",
    "rent a house in Huye",
    "I sell 200 kg of maize",
    "I look for a job",
    "menu",
    "2",
)


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """One storm. `per_s`: messages answered per second until none was left."""

    seed: int
    messages: int
    numbers: int
    seconds: float
    per_s: float
    answered: int
    dead_letters: int
    out_of_order: int

    @property
    def holds(self) -> bool:
        """Whether nothing was given up and nothing came out of order."""
        return self.dead_letters == 0 and self.out_of_order == 0 and self.answered == self.messages


async def storm(messages: int, numbers: int, seed: int, within_s: float) -> Storm:
    """The whole drill. Raises `TimeoutError` when the queue is not empty `within_s` after the worker began."""
    rng = random.Random(seed)
    names = ("agent-core", "whatsapp-webhook", "whatsapp-worker")
    listeners = {name: listen(name, "127.0.0.1", 0) for name in names}
    urls = {name: f"http://127.0.0.1:{listener.getsockname()[1]}" for name, listener in listeners.items()}
    try:
        with database_server(None) as database, cache_server(None) as cache:
            await migrate(database.url)
            connection = await asyncpg.connect(database.url)
            try:
                await _fill(connection, rng, messages, numbers)
                environ = {**_SECRETS, "DATABASE_URL": database.url, "REDIS_URL": cache.url}
                environ |= {"AGENT_CORE_URL": urls["agent-core"], "WHATSAPP_WEBHOOK_URL": urls["whatsapp-webhook"]}
                async with local_services(environ, listeners) as services:
                    await services.ready()
                    began = time.monotonic()
                    async with asyncio.timeout(within_s):
                        while left := await connection.fetchval(_LEFT):
                            sys.stderr.write(f"\r{left} wait  ")
                            await asyncio.sleep(1)
                    seconds = time.monotonic() - began
                sys.stderr.write("\n")
                return Storm(
                    seed=seed,
                    messages=messages,
                    numbers=numbers,
                    seconds=round(seconds, 1),
                    per_s=round(messages / seconds, 1),
                    answered=await connection.fetchval(
                        "select count(*) from whatsapp_messages where direction = 'inbound' and status = 'processed'"
                    ),
                    dead_letters=await connection.fetchval("select count(*) from webhook_dlq"),
                    out_of_order=await connection.fetchval(_OUT_OF_ORDER),
                )
            finally:
                await connection.close()
    finally:
        for listener in listeners.values():
            listener.close()


async def _fill(connection: Any, rng: random.Random, messages: int, numbers: int) -> None:
    rows = [
        {
            "id": uuid7(),
            "wamid": f"wamid.storm.{place}",
            "from_number": f"+2507{rng.randrange(numbers):08d}",
            "body": rng.choice(_SAID),
        }
        for place in range(messages)
    ]
    await connection.execute(_STORE, msgspec.json.encode(rows).decode())
    await connection.execute(_WINDOWS)


def page(result: Storm) -> str:
    """The page of a storm."""
    return (
        f"# A storm of messages\n\n{result.messages:,} messages of {result.numbers:,} numbers waited, no worker ran. "
        f"Then one worker with the default limits drained them in {result.seconds:.0f} s ({result.per_s:.0f}/s): "
        f"**{result.dead_letters} dead letters, {result.answered:,} answered, {result.out_of_order} out of order** "
        f"(seed {result.seed}).\n"
    )


def main() -> int:
    """Do it. Returns 0 if nothing was given up and every number was answered in order."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--messages", type=int, default=9000, help="default: %(default)s")
    parser.add_argument("--numbers", type=int, default=3000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--within", type=float, default=900, help="seconds (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="folder for storm.json and storm.md")
    options = parser.parse_args()
    result = asyncio.run(storm(options.messages, options.numbers, options.seed, options.within))
    write_evidence(options.out, "storm", result, page(result))
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
