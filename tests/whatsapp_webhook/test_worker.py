"""The worker: every message answered once and in order, failures by schedule, nothing sent twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
from litestar import Litestar, Response, post

from easymo_platform.runtime.breaker import CircuitBreaker
from easymo_platform.whatsapp_webhook.conversation import BY_NAME, MENU
from easymo_platform.whatsapp_webhook.model import Work
from easymo_platform.whatsapp_webhook.store import MessageStore, Reply, reply_id
from tests.conftest import Database
from tests.whatsapp_webhook.client import NUMBER, deliver, idle_worker, status, text, until, webhook, worker
from tests.whatsapp_webhook.outside import CloudApi, agent_core, refusal, served

OTHER = "250700000002"


@pytest.fixture
async def agent_url(environ: dict[str, str]) -> AsyncIterator[str]:
    async with agent_core(environ) as url:
        yield url


@pytest.fixture
async def cloud(environ: dict[str, str], agent_url: str) -> AsyncIterator[CloudApi]:
    """Meta's side, and the environment in which our services find it and agent-core."""
    async with CloudApi().running() as api:
        environ |= {
            "AGENT_CORE_URL": agent_url,
            "WHATSAPP_PROVIDER": "cloud",
            "WHATSAPP_API_URL": api.url,
            "WHATSAPP_ACCESS_TOKEN": "token",
        }
        yield api


async def test_message_is_answered_by_the_agent_and_its_reply_is_sent(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    async with webhook(environ) as client, worker(environ):
        await deliver(client, text("I want to book a moto"))
        await until(lambda: asyncio.sleep(0, cloud.sent))
        await until(lambda: _none_pending(database))
    (message,) = cloud.sent
    assert message["text"]["body"] == "For a trip I need: from where, to where, and at what time?"
    assert (message["to"], message["type"], message["messaging_product"]) == (NUMBER, "text", "whatsapp")
    inbound, outbound = await database.fetch("select * from whatsapp_messages order by created_at")
    assert (inbound["status"], outbound["status"], outbound["wamid"]) == ("processed", "accepted", "wamid.meta1")
    assert outbound["id"] == reply_id(inbound["id"])
    assert await database.fetchval("select phone_number from users where id = $1", inbound["user_id"]) == f"+{NUMBER}"
    session = await database.fetchrow("select * from agent_sessions")
    assert session is not None
    assert (session["flow_type"], session["agent_kind"]) == ("schedule_trip", "mobility")
    roles = await database.fetch("select role from agent_messages order by created_at")
    assert [row["role"] for row in roles] == ["user", "agent"]


async def _none_pending(database: Database) -> bool:
    waiting = "select count(*) from whatsapp_messages where status in ('pending', 'processing')"
    return int(await database.fetchval(waiting)) == 0


async def test_greeting_shows_the_menu_a_number_chooses_and_the_choice_stays(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    said = ["Muraho!", "3", "maize, 200 kg", "menu", "I look for a job"]
    async with webhook(environ) as client, worker(environ):
        for number, body in enumerate(said, 1):
            await deliver(client, text(body))
            await until(partial(_sent, cloud, number))
        await until(lambda: _none_pending(database))
    answers = cloud.texts(NUMBER)
    assert answers[0] == answers[3] == MENU
    assert answers[1] == BY_NAME["farmer"].opening
    assert answers[2] == "Which crop, how many kilograms, and where is it?"
    assert answers[4] == "Which kind of work do you look for, or offer, and where?"
    flows = await database.fetch("select flow_type from agent_sessions order by created_at")
    assert [row["flow_type"] for row in flows] == ["marketplace", "job_board"]


async def test_a_number_is_answered_in_order_and_numbers_do_not_wait_for_each_other(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    async with webhook(environ) as client:
        for turn in range(10):
            await deliver(client, text(f"txn-{turn}", NUMBER), text("menu" if turn % 2 else "hello job", OTHER))
        async with worker(environ), worker(environ):
            await until(lambda: asyncio.sleep(0, len(cloud.sent) == 20))
    in_order = "select body from whatsapp_messages where direction = 'inbound' and from_number = $1 order by updated_at"
    rows = await database.fetch(in_order, f"+{NUMBER}")
    assert [row["body"] for row in rows] == [f"txn-{turn}" for turn in range(10)]
    assert [reply == MENU for reply in cloud.texts(OTHER)] == [False, True] * 5
    assert len(cloud.texts(NUMBER)) == 10


async def test_one_message_of_a_number_is_claimed_at_a_time_the_oldest_due_first(
    environ: dict[str, str], database: Database
) -> None:
    async with webhook(environ) as client, idle_worker(environ) as one, idle_worker(environ) as two:
        first, second, other = text("1", at=1), text("2", at=2), text("3", OTHER)
        await deliver(client, second)
        await deliver(client, other, first)
        claims = await asyncio.gather(*(who._store.claim_inbound(10, 60) for who in (one, two, one, two)))
        claimed = [work for claim in claims for work in claim]
        assert sorted(str(work.wamid) for work in claimed) == sorted([first["id"], other["id"]])
        await database.execute("update whatsapp_messages set status = 'processed' where wamid = $1", first["id"])
        assert [work.wamid for work in await two._store.claim_inbound(10, 60)] == [second["id"]]
        assert await one._store.claim_inbound(10, 60) == []


async def test_message_of_yesterday_is_still_owed(environ: dict[str, str], database: Database) -> None:
    async with webhook(environ) as client, idle_worker(environ) as one:
        await deliver(client, text("today"), text("yesterday", OTHER))
        await database.execute(
            "update whatsapp_messages set created_at = now() - interval '30 hours', next_attempt_at = null "
            "where body = 'yesterday'"
        )
        assert [work.body for work in await one._store.claim_inbound(1, 60)] == ["yesterday"]


async def test_claim_of_a_dead_worker_runs_out_and_what_it_still_does_has_no_effect(
    environ: dict[str, str], database: Database, agent_url: str
) -> None:
    environ |= {"AGENT_CORE_URL": agent_url}
    async with webhook(environ) as client, idle_worker(environ) as dead, idle_worker(environ) as alive:
        await deliver(client, text("hello there job"))
        (stale,) = await dead._store.claim_inbound(1, 0.0)
        (work,) = await alive._store.claim_inbound(1, 60)
        conversation = await alive._store.conversation(work.from_number)
        assert await alive._store.answer(work, conversation, [Reply("once")])
        assert not await dead._store.answer(stale, conversation, [Reply("twice")])
        await dead._store.postpone(stale, 0, failed=True)
        await dead._store.bury(stale, "x", "x")
    outbound = await database.fetch("select body from whatsapp_messages where direction = 'outbound'")
    assert [row["body"] for row in outbound] == ["once"]
    assert await database.fetchval("select status from whatsapp_messages where direction = 'inbound'") == "processed"
    assert await database.fetchval("select count(*) from webhook_dlq") == 0


async def test_failing_agent_is_tried_again_by_schedule_and_then_the_message_is_a_dead_letter(
    environ: dict[str, str], database: Database, monkeypatch: pytest.MonkeyPatch, cloud: CloudApi
) -> None:
    monkeypatch.setattr("easymo_platform.whatsapp_webhook.answer.backoff_s", lambda attempts: 0.05 * 2**attempts)
    async with webhook(environ) as client, failing_agent(500) as broken_url:
        await deliver(client, text("I look for a job"))
        async with worker(environ | {"AGENT_CORE_URL": broken_url}):
            await until(lambda: database.fetchval("select count(*) from webhook_dlq"))
        row = await database.fetchrow("select status, attempts from whatsapp_messages")
        assert row is not None
        assert tuple(row) == ("failed", 4), "the first try and three more"
        (letter,) = (await client.get("/dlq")).json()["dead_letters"]
        assert (letter["error_type"], letter["status"]) == ("timeout", "pending")
        async with worker(environ):
            retried = await client.post(f"/dlq/{letter['id']}/retry")
            assert (retried.status_code, retried.json()["status"]) == (202, "processing")
            await until(lambda: asyncio.sleep(0, cloud.sent))
        assert (await client.post(f"/dlq/{letter['id']}/retry")).status_code == 409
        assert (await client.get("/dlq")).json()["dead_letters"] == []
    assert await database.fetchval("select status from webhook_dlq") == "reprocessed"


@asynccontextmanager
async def failing_agent(*statuses: int, retry_after: str = "0") -> AsyncIterator[str]:
    """An agent that answers with these statuses in turn, the last one for ever; its address."""
    waiting = list(statuses)

    @post(["/sessions", "/respond"], status_code=200)
    async def answer() -> Response[Any]:
        status_code = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return Response({"error": "no"}, status_code=status_code, headers={"retry-after": retry_after})

    async with served(Litestar([answer], logging_config=None)) as url:
        yield url


@pytest.mark.parametrize("status_code", [429, 503])
async def test_later_is_no_attempt_however_often_it_is_said(
    environ: dict[str, str], database: Database, cloud: CloudApi, status_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easymo_platform.whatsapp_webhook.answer.random.uniform", lambda *_: 0.01)
    monkeypatch.setattr("easymo_platform.runtime.client.CircuitBreaker", partial(CircuitBreaker, minimum=1000))
    said = 0

    async def count_later(self: object, work: Work, delay_s: float, *, failed: bool) -> None:
        nonlocal said
        said += 1
        await original(self, work, delay_s, failed=failed)  # type: ignore[arg-type]

    original = MessageStore.postpone
    monkeypatch.setattr(MessageStore, "postpone", count_later)
    async with webhook(environ) as client, failing_agent(status_code) as url:
        await deliver(client, text("I look for a job"))
        async with worker(environ | {"AGENT_CORE_URL": url}):
            await until(lambda: asyncio.sleep(0, said >= 12))
    row = await database.fetchrow("select status, attempts from whatsapp_messages")
    assert row is not None
    assert tuple(row) == ("pending", 0)
    assert await database.fetchval("select count(*) from webhook_dlq") == 0


async def test_what_the_agent_refuses_for_ever_is_not_asked_again(environ: dict[str, str], database: Database) -> None:
    async with webhook(environ) as client, failing_agent(400) as url:
        await deliver(client, text("I look for a job"))
        async with worker(environ | {"AGENT_CORE_URL": url}):
            await until(lambda: database.fetchval("select count(*) from webhook_dlq"))
    assert await database.fetchval("select attempts from whatsapp_messages") == 1


async def test_dead_letter_is_discarded_once(environ: dict[str, str], database: Database) -> None:
    letter = await database.fetchval(
        "insert into webhook_dlq (payload, error, error_type) values ('{}', 'e', 'timeout') returning id"
    )
    unknown = "00000000-0000-0000-0000-000000000001"
    async with webhook(environ) as client:
        assert (await client.post(f"/dlq/{letter}/retry")).status_code == 409, "its message is not there"
        assert (await client.post(f"/dlq/{letter}/discard")).status_code == 200
        assert (await client.post(f"/dlq/{letter}/discard")).status_code == 409
        assert (await client.post(f"/dlq/{unknown}/discard")).status_code == 404


async def test_outage_of_the_agent_uses_up_no_attempts_once_the_breaker_is_open(
    environ: dict[str, str], database: Database
) -> None:
    async with webhook(environ) as client, worker(environ):
        await deliver(client, *(text("I look for a job", f"2507000001{n:02d}") for n in range(40)))
        await until(
            lambda: database.fetchval(
                "select count(*) >= 20 from whatsapp_messages "
                "where attempts = 0 and status = 'pending' and next_attempt_at > now() + interval '10 s'"
            )
        )
    assert await database.fetchval("select count(*) from webhook_dlq") == 0


async def test_number_that_writes_too_much_waits_and_others_do_not(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    environ |= {"WHATSAPP_ANSWERS_PER_MINUTE": "2"}
    async with webhook(environ) as client, worker(environ):
        await deliver(client, *(text("menu") for _ in range(5)))
        await until(lambda: asyncio.sleep(0, len(cloud.texts(NUMBER)) == 2))
        await deliver(client, text("menu", OTHER))
        await until(lambda: asyncio.sleep(0, cloud.texts(OTHER)))
        waiting = await database.fetch(
            "select attempts from whatsapp_messages "
            "where direction = 'inbound' and status = 'pending' and next_attempt_at > now()"
        )
    assert [row["attempts"] for row in waiting] == [0, 0, 0]


@pytest.mark.parametrize(
    ("answers", "final"),
    [
        ([refusal(400, 131056)], "accepted"),
        ([refusal(429, 130429), refusal(401, 190)], "accepted"),
        ([refusal(400, 131026)], "failed"),
        ([refusal(400, 0)], "failed"),
    ],
)
async def test_refusal_is_tried_later_or_final_as_its_code_says(
    environ: dict[str, str],
    database: Database,
    cloud: CloudApi,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[Response[Any]],
    final: str,
) -> None:
    monkeypatch.setattr(
        "easymo_platform.whatsapp_webhook.provider._LATER_S", dict.fromkeys((131056, 130429, 190), 0.01)
    )
    waiting = list(answers)
    cloud.answer = lambda _: waiting.pop(0) if waiting else None
    async with webhook(environ) as client, worker(environ):
        await deliver(client, text("menu"))
        await until(
            lambda: database.fetchval(
                "select count(*) from whatsapp_messages where direction = 'outbound' and status = $1", final
            )
        )
    assert len(cloud.sent) == (final == "accepted")
    assert await database.fetchval("select count(*) from webhook_dlq") == 0


async def test_send_of_unknown_outcome_is_not_repeated_when_the_provider_reports_it(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    def taken_but_unanswered(message: dict[str, Any]) -> Response[Any]:
        cloud.sent.append(message)
        return Response(b"", status_code=502)

    cloud.answer = taken_but_unanswered
    environ |= {"WHATSAPP_UNKNOWN_S": "1"}
    async with webhook(environ) as client, worker(environ):
        await deliver(client, text("menu"))
        await until(lambda: asyncio.sleep(0, cloud.sent))
        report = status("wamid.late", "sent", biz_opaque_callback_data=cloud.sent[0]["biz_opaque_callback_data"])
        await deliver(client, statuses=[report])
        await database.execute("update whatsapp_messages set created_at = created_at - interval '1 hour'")
        await deliver(client, text("menu", OTHER))
        await until(lambda: asyncio.sleep(0, cloud.texts(OTHER)))
    assert len(cloud.texts(NUMBER)) == 1
    row = await database.fetchrow("select wamid, status from whatsapp_messages where wamid = 'wamid.late'")
    assert row is not None
    assert tuple(row) == ("wamid.late", "sent")


async def test_send_of_unknown_outcome_waits_until_the_provider_was_heard_and_said_nothing(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    async with webhook(environ) as client, idle_worker(environ) as one:
        await deliver(client, text("menu"))
        (work,) = await one._store.claim_inbound(1, 60)
        await one._store.answer(work, await one._store.conversation(work.from_number), [Reply("reply")])
        (first,) = await one._store.claim_outbound(1, 0.2)
        await one._store.count_unknown_outcome(first)
        await until(
            lambda: database.fetchval("select next_attempt_at < now() from whatsapp_messages where id = $1", first.id)
        )
        assert await one._store.claim_outbound(1, 0.2) == [], "nobody has heard from the provider since"
        await deliver(client, text("anything", OTHER))
        (again,) = await one._store.claim_outbound(1, 0.2)
    assert (again.id, again.attempts) == (first.id, 1)


async def test_text_beyond_the_24_hour_window_is_refused_and_a_template_is_sent(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    to = f"+{NUMBER}"
    wanted = {"to": to, "type": "text", "text": {"body": "news"}}
    template = {"to": to, "type": "template", "template": {"name": "welcome"}}
    async with webhook(environ) as client, worker(environ):
        closed = await client.post("/messages", json=wanted)
        assert (closed.status_code, closed.json()["error"]) == (409, "outside_window")
        for _ in range(2):
            answer = await client.post("/messages", json=template, headers={"Idempotency-Key": "k"})
            assert answer.status_code == 202
        await until(lambda: asyncio.sleep(0, cloud.sent))
        other = await client.post("/messages", json=template | {"to": f"+{OTHER}"}, headers={"Idempotency-Key": "k"})
        assert (other.status_code, other.json()["error"]) == (409, "idempotency_key_reused")
        await deliver(client, text("menu"))
        await until(lambda: asyncio.sleep(0, len(cloud.sent) == 2))
        assert (await client.post("/messages", json=wanted)).status_code == 202
        await until(lambda: asyncio.sleep(0, len(cloud.sent) == 3))
        await database.execute(
            "insert into whatsapp_messages (direction, from_number, to_number, message_type, body) "
            "values ('outbound', '+250700000999', $1, 'text', 'old')",
            f"+{OTHER}",
        )
        await until(lambda: database.fetchval("select count(*) from whatsapp_messages where error_code = 131047"))
    assert [message["type"] for message in cloud.sent] == ["template", "interactive", "text"]
    assert cloud.sent[0]["template"] == {"name": "welcome", "language": {"code": "en"}}


async def test_requests_carry_their_ids_from_the_worker_to_the_agent_and_the_provider(
    environ: dict[str, str], database: Database, cloud: CloudApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, tuple[str, str]] = {}
    original = httpx.AsyncClient.post

    async def record(self: httpx.AsyncClient, url: str, **options: Any) -> httpx.Response:
        if b'"status":"read"' in options["content"]:
            return await original(self, url, **options)
        seen[url] = options["headers"]["x-request-id"], options["headers"]["x-correlation-id"]
        return await original(self, url, **options)

    async with webhook(environ) as client:
        await deliver(client, text("I look for a job"))
        monkeypatch.setattr(httpx.AsyncClient, "post", record)
        async with worker(environ):
            await until(lambda: asyncio.sleep(0, cloud.sent))
    question = await database.fetchval("select id from whatsapp_messages where direction = 'inbound'")
    reply = cloud.sent[0]["biz_opaque_callback_data"]
    assert seen["/sessions"] == seen["/respond"] == (f"message-{question}", f"message-{question}")
    assert seen[f"{cloud.url}/104857600000999/messages"] == (f"message-{reply}", f"message-{question}")


async def _sent(cloud: CloudApi, count: int) -> bool:
    await asyncio.sleep(0)
    return len(cloud.sent) == count
