"""kill -9 of the API or the worker at random moments, while Meta delivers: no message is lost, none answered twice.

    python -m drills.whatsapp_webhook.campaign --kills 100 --seed 1

API, worker and agent-core are processes of their own on real servers; Meta is played here, so that what it has seen
survives every kill: it delivers each message until it gets a 200, now and then again, and out of order; it takes our
answers by the Cloud API's rules and reports on each until a 200. The seed decides what is sent, who is killed, and how
long after the start of the last victim; when that falls within the others' work is up to the machine.
"""

import argparse
import asyncio
import itertools
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import msgspec

from easymo.embedded import Postgres, Valkey
from easymo_platform.operations.migrate import migrate
from easymo_platform.operations.serve import LISTENING
from easymo_platform.whatsapp_webhook.store import reply_id
from tests.whatsapp_webhook.client import SECRET, VERIFY, envelope, status, text
from tests.whatsapp_webhook.outside import CloudApi

NUMBERS = 12
GAP_S = 0.05
LEASE_S = 2.0
UNKNOWN_S = 5.0
KILLED_AFTER_S = (0.0, 0.6)
DRAIN_S = 60.0
VICTIMS = {"whatsapp-webhook": 0.5, "whatsapp-worker": 0.5}


class Result(msgspec.Struct):
    """What the campaign saw: every message that was acknowledged must have been answered exactly once."""

    seed: int
    kills: dict[str, int]
    delivered: int = 0
    redelivered: int = 0
    acknowledged: int = 0
    duplicates_reported: int = 0
    lost: list[str] = []
    answered_twice: list[str] = []
    dead_letters: int = 0
    sent: int = 0
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        return not (self.lost or self.answered_twice or self.dead_letters) and self.acknowledged == self.delivered


class Service:
    """One of our processes, which can be killed and started again on the same port."""

    def __init__(self, name: str, port: int, environ: Mapping[str, str]) -> None:
        self.name = name
        self._port = port
        self._environ = dict(environ)
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once it is ready."""
        command = (sys.executable, "-m", "easymo_platform", "serve", self.name, "--port", str(self._port))
        process = await asyncio.create_subprocess_exec(
            *command, env=self._environ, stderr=asyncio.subprocess.PIPE, limit=1 << 20
        )
        self._process = process
        assert process.stderr is not None
        lines = []
        async for line in process.stderr:
            lines.append(line)
            if f'"event":"{LISTENING}"'.encode() in line:
                self._drain = asyncio.create_task(_read_on(process.stderr))
                return
        raise AssertionError(f"{self.name} did not start: {b''.join(lines[-5:]).decode()}")

    async def kill(self) -> None:
        """kill -9, and wait for the end."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        if self._drain is not None:
            await self._drain


async def _read_on(stream: asyncio.StreamReader) -> None:
    while await stream.read(65_536):
        pass


class Campaign:
    """One run."""

    def __init__(self, database_url: str, redis_url: str, kills: int, seed: int) -> None:
        self._rng = random.Random(seed)
        self._kills = kills
        self._result = Result(seed, Counter())
        self._database_url = database_url
        self._redis_url = redis_url
        self._said: list[str] = []
        self._acknowledged: set[str] = set()
        self._deliveries: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

    async def run(self) -> Result:
        """Everything, from the start of the services to the verdict."""
        started = time.monotonic()
        await migrate(self._database_url)
        ports = {name: _free_port() for name in ("whatsapp-webhook", "whatsapp-worker", "agent-core")}
        cloud = CloudApi(f"http://127.0.0.1:{ports['whatsapp-webhook']}")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(cloud.running())
            environ = self._environ(cloud.url, ports)
            services = {name: Service(name, port, environ) for name, port in ports.items()}
            for service in services.values():
                stack.push_async_callback(service.kill)
                await service.start()
            speaking = asyncio.create_task(self._speak(cloud))
            await self._kill([services[name] for name in VICTIMS])
            self._over.set()
            await speaking
            await asyncio.gather(*self._deliveries)
            await self._drained(cloud)
            await self._judge(cloud)
        self._result.seconds = round(time.monotonic() - started, 1)
        return self._result

    def _environ(self, cloud_url: str, ports: Mapping[str, int]) -> dict[str, str]:
        return {
            "PATH": "",
            "DATABASE_URL": self._database_url,
            "REDIS_URL": self._redis_url,
            "DATABASE_POOL_SIZE": "4",
            "LOG_LEVEL": "info",
            "SERVICE_JWT_KEYS": "key-of-the-campaign-0123456789abcdef",
            "WHATSAPP_APP_SECRET": SECRET,
            "WHATSAPP_VERIFY_TOKEN": VERIFY,
            "WHATSAPP_PROVIDER": "cloud",
            "WHATSAPP_API_URL": cloud_url,
            "WHATSAPP_ACCESS_TOKEN": "token",
            "WHATSAPP_LEASE_S": str(LEASE_S),
            "WHATSAPP_UNKNOWN_S": str(UNKNOWN_S),
            "WHATSAPP_ANSWERS_PER_MINUTE": "0",
            "AGENT_CORE_URL": f"http://127.0.0.1:{ports['agent-core']}",
        }

    async def _speak(self, cloud: CloudApi) -> None:
        """New messages at even gaps, each delivered by its own task, some again, some late."""
        number, an_hour_ago = 0, int(time.time()) - 3600  # within the 24 hours in which free text may be sent
        while not self._over.is_set():
            sender = f"2507000002{self._rng.randrange(NUMBERS):02d}"
            message = text(f"txn-{number}", sender, wamid=f"wamid.campaign{number}", at=an_hour_ago + number)
            self._said.append(message["id"])
            times = 1 + (self._rng.random() < 0.2)
            self._result.delivered += 1
            self._result.redelivered += times - 1
            for _ in range(times):
                delay_s = self._rng.choice((0, 0, 0, 0.2))
                task = asyncio.create_task(self._deliver(cloud, message, delay_s))
                self._deliveries.add(task)
                task.add_done_callback(self._deliveries.discard)
            number += 1
            await asyncio.sleep(GAP_S)

    async def _deliver(self, cloud: CloudApi, message: dict[str, Any], delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        answer = await cloud.deliver(msgspec.json.encode(envelope(message)))
        self._acknowledged.add(message["id"])
        self._result.duplicates_reported += answer["duplicates"]

    async def _kill(self, victims: list[Service]) -> None:
        for _ in range(self._kills):
            victim = self._rng.choices(victims, list(VICTIMS.values()))[0]
            await asyncio.sleep(self._rng.uniform(*KILLED_AFTER_S))
            await victim.kill()
            self._result.kills[victim.name] += 1
            await victim.start()

    async def _drained(self, cloud: CloudApi) -> None:
        """Until nothing waits. Meta goes on reporting other messages: who hears nothing from it sends nothing again."""
        waiting = "select count(*) from whatsapp_messages where status in ('pending', 'processing')"
        connection = await asyncpg.connect(self._database_url)
        try:
            async with asyncio.timeout(DRAIN_S):
                for number in itertools.count():
                    if not await connection.fetchval(waiting):
                        break
                    await cloud.deliver(
                        msgspec.json.encode(envelope(statuses=[status(f"wamid.other{number}", "sent")]))
                    )
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pass  # what still waits is found to be lost
        finally:
            await connection.close()

    async def _judge(self, cloud: CloudApi) -> None:
        connection = await asyncpg.connect(self._database_url)
        rows = await connection.fetch("select id, wamid from whatsapp_messages where direction = 'inbound'")
        self._result.dead_letters = await connection.fetchval("select count(*) from webhook_dlq")
        await connection.close()
        reply_ids = {row["wamid"]: str(reply_id(row["id"])) for row in rows}
        answers = [message["biz_opaque_callback_data"] for message in cloud.sent]
        count = Counter(answers)
        self._result.acknowledged, self._result.sent = len(self._acknowledged), len(answers)
        answers_of = {wamid: count[reply_ids.get(wamid, "")] for wamid in self._said}
        self._result.lost = [wamid for wamid, times in answers_of.items() if times == 0]
        self._result.answered_twice = [wamid for wamid, times in answers_of.items() if times > 1]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def main() -> int:
    """Run it on servers of its own, print what was seen. Returns 0 if nothing was lost or answered twice."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    options = parser.parse_args()
    with Postgres() as postgres, Valkey() as valkey:
        result = asyncio.run(Campaign(postgres.url, valkey.url, options.kills, options.seed).run())
    print(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
