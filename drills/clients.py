"""The platform's clients while something breaks: seeded requests at a constant rate, a ledger of what was accepted."""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import httpx
import msgspec

from drills.fleet import KEY, SECRET
from easymo_platform.runtime.auth import LOAD_TEST, Tokens
from easymo_platform.sample_data import keys
from easymo_platform.whatsapp_webhook.signature import HEADER, sign

TIMEOUT_S = 10.0
READ, LIST, MESSAGE, STATUS = "cached read", "list", "message", "status change"
_SHARES = {READ: 0.5, LIST: 0.2, MESSAGE: 0.2, STATUS: 0.1}


@dataclass(frozen=True)
class Answered:
    """One request: times in seconds of the monotonic clock, ``status`` 0 without an answer."""

    kind: str
    begun: float
    ended: float
    status: int

    @property
    def failed(self) -> bool:
        """No answer, or one that says the service could not do it."""
        return self.status == 0 or self.status >= 500


@dataclass
class Ledger:
    """What the clients were promised: messages that were accepted, and calls that were changed."""

    answered: list[Answered] = field(default_factory=list)
    messages: set[str] = field(default_factory=set)
    calls: dict[UUID, str] = field(default_factory=dict)
    """Calls of which a change was tried, and the last status that was accepted (empty: none was)."""


class Clients:
    """Requests against ``voice`` and ``webhook`` (addresses used in turn), until :meth:`running` is left."""

    def __init__(
        self,
        voice: Sequence[str],
        webhook: Sequence[str],
        *,
        hot: list[UUID],
        live: list[UUID],
        seed: int,
        rate_rps: float,
    ) -> None:
        """``hot`` calls are read and never changed; of ``live`` ones each is changed once, and used up by that."""
        self._voice = itertools.cycle(voice)
        self._webhook = itertools.cycle(webhook)
        self._rng = random.Random(seed)
        self._gap_s = 1 / rate_rps
        self._hot = hot
        self._live = live
        self._name = f"{seed}-{time.time_ns()}"
        self._tasks: set[asyncio.Task[None]] = set()
        self.ledger = Ledger()
        token = Tokens([KEY], LOAD_TEST).sign(
            "voice-bridge", ["voice:read", "voice:calls.write"], lifetime_s=86_400, subject=LOAD_TEST
        )
        self.authorization = {"authorization": f"Bearer {token}"}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Requests during the block; leaving it waits for their answers."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits) as http:
            pacer = asyncio.create_task(self._pace(http))
            try:
                yield
            finally:
                pacer.cancel()
                await asyncio.gather(pacer, return_exceptions=True)
                await asyncio.gather(*self._tasks)

    async def warm_up(self, urls: Sequence[str]) -> None:
        """Read every hot call from every replica, so that each has it in its cache."""
        async with httpx.AsyncClient(timeout=TIMEOUT_S, headers=self.authorization) as http:
            for url, call in itertools.product(urls, self._hot):
                (await http.get(f"{url}/calls/{call}")).raise_for_status()

    async def _pace(self, http: httpx.AsyncClient) -> None:
        due = time.monotonic()
        for number in itertools.count():
            (kind,) = self._rng.choices(list(_SHARES), list(_SHARES.values()))
            task = asyncio.create_task(self._send(http, kind, number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            due += self._gap_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _send(self, http: httpx.AsyncClient, kind: str, number: int) -> None:
        begun = time.monotonic()
        try:
            status = await self._ask(http, kind, number)
        except httpx.TransportError:
            status = 0
        self.ledger.answered.append(Answered(kind, begun, time.monotonic(), status))

    async def _ask(self, http: httpx.AsyncClient, kind: str, number: int) -> int:
        if kind == MESSAGE:
            return await self._message(http, f"wamid.drill-{self._name}-{number}")
        url = next(self._voice)
        if kind == STATUS and self._live:
            return await self._change(http, url, self._live.pop())
        path = f"/calls/{self._rng.choice(self._hot)}" if kind == READ else "/analytics/live-calls?limit=15"
        return (await http.get(url + path, headers=self.authorization)).status_code

    async def _message(self, http: httpx.AsyncClient, wamid: str) -> int:
        sender = keys.phone_number(self._rng.randrange(1000)).removeprefix("+")
        body = {
            "from": sender,
            "id": wamid,
            "timestamp": str(int(time.time())),
            "type": "text",
            "text": {"body": "Muraho"},
        }
        metadata = {"display_phone_number": "250700000999", "phone_number_id": "104857600000999"}
        value = {"messaging_product": "whatsapp", "metadata": metadata, "messages": [body]}
        entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
        payload = msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})
        headers = {"content-type": "application/json", HEADER: sign(SECRET, payload)}
        answer = await http.post(f"{next(self._webhook)}/webhook", content=payload, headers=headers)
        if answer.status_code == 200:
            self.ledger.messages.add(wamid)
        return answer.status_code

    async def _change(self, http: httpx.AsyncClient, url: str, call: UUID) -> int:
        """A read, so that the old status is cached, then the change."""
        await http.get(f"{url}/calls/{call}", headers=self.authorization)
        self.ledger.calls[call] = ""
        answer = await http.post(f"{url}/calls/{call}/status", json={"status": "failed"}, headers=self.authorization)
        if answer.status_code == 200:
            self.ledger.calls[call] = "failed"
        return answer.status_code


async def lost(ledger: Ledger, database_url: str) -> list[str]:
    """Accepted writes that the database does not have."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "select wamid from whatsapp_messages where wamid = any($1)", list(ledger.messages)
        )
        changed = [call for call, status in ledger.calls.items() if status]
        ended = await connection.fetch("select id from voice_calls where id = any($1) and status = 'failed'", changed)
    finally:
        await connection.close()
    missing = ledger.messages - {row["wamid"] for row in rows}
    undone = set(changed) - {row["id"] for row in ended}
    return sorted(missing) + sorted(str(call) for call in undone)


async def stale(clients: Clients, urls: Sequence[str], database_url: str) -> list[str]:
    """Changed calls that a replica shows with another status than the database has."""
    calls = list(clients.ledger.calls)
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch("select id, status from voice_calls where id = any($1)", calls)
    finally:
        await connection.close()
    true_status = {row["id"]: row["status"] for row in rows}
    found = []
    async with httpx.AsyncClient(timeout=TIMEOUT_S, headers=clients.authorization) as http:
        for url, call in itertools.product(urls, calls):
            shown = (await http.get(f"{url}/calls/{call}")).json().get("status")
            if shown != true_status[call]:
                found.append(f"{url}/calls/{call}: {shown} instead of {true_status[call]}")
    return found
