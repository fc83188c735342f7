"""What people get: the menu, an answer to every kind, a person of the team, and nothing after STOP."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest

from easymo_platform.whatsapp_webhook.conversation import BY_NAME, HANDED_OVER, MENU, OPTED_OUT, OUT_OF_RANGE
from tests.conftest import Database
from tests.whatsapp_webhook.client import NUMBER, deliver, text, until, webhook, worker
from tests.whatsapp_webhook.outside import CloudApi, agent_core, said
from tests.whatsapp_webhook.test_kinds import KINDS


@pytest.fixture
async def cloud(environ: dict[str, str]) -> AsyncIterator[CloudApi]:
    async with agent_core(environ) as agent_url, CloudApi().running() as api:
        environ |= {"AGENT_CORE_URL": agent_url, "WHATSAPP_PROVIDER": "cloud"}
        environ |= {"WHATSAPP_API_URL": api.url, "WHATSAPP_ACCESS_TOKEN": "token"}
        yield api


async def talk(client: httpx.AsyncClient, cloud: CloudApi, *messages: dict[str, Any]) -> list[str]:
    """Send one message after the other, each when the one before was answered; what came back, newest last."""
    for message in messages:
        before = len(cloud.sent)
        await deliver(client, message)
        await until(partial(_more_than, cloud, before))
    return [said(message) for message in cloud.sent]


async def test_the_menu_works_by_number_word_and_row_and_says_which_numbers_there_are(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    row = {**text(), "type": "interactive", "interactive": {"list_reply": {"id": "farmer", "title": "Farming"}}}
    async with webhook(environ) as client, worker(environ):
        answers = await talk(client, cloud, text("1"), text(" 2 "), text("5"), text("10"), text("menu"), row)
    openings = [BY_NAME[name].opening for name in ("booking", "real_estate", "sales")]
    assert answers == [*openings, OUT_OF_RANGE, MENU, BY_NAME["farmer"].opening]
    rows = cloud.sent[4]["interactive"]["action"]["sections"][0]["rows"]
    assert [row["id"] for row in rows] == list(BY_NAME)


@pytest.mark.slow
async def test_every_kind_of_message_is_answered_or_marked_as_read(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    async with webhook(environ) as client, worker(environ):
        for number, (kind, content, handling, _) in enumerate(KINDS.values()):
            message = {**text(sender=f"2507000010{number:02d}", wamid=f"wamid.{number}"), "type": kind, kind: content}
            await deliver(client, message)
            if handling != "note":
                await until(partial(_marked, cloud, f"wamid.{number}"))
        waiting = "select count(*) from whatsapp_messages where status in ('pending', 'processing')"
        await until(lambda: _none(database, waiting))
    answered = {message["to"] for message in cloud.sent}
    expected = {f"2507000010{n:02d}" for n, kind in enumerate(KINDS.values()) if kind[2] in ("agent", "acknowledge")}
    assert answered == expected


async def _none(database: Database, counting: str) -> bool:
    return int(await database.fetchval(counting)) == 0


async def test_a_person_takes_over_and_the_agent_is_silent_until_the_conversation_is_closed(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    async with webhook(environ) as client, worker(environ):
        assert (await talk(client, cloud, text("I want to talk to a person")))[-1] == HANDED_OVER
        (handoff,) = (await client.get("/handoffs")).json()["handoffs"]
        assert (handoff["phone_number"], handoff["status"]) == (f"+{NUMBER}", "open")
        place = f"/handoffs/{handoff['id']}"
        assert (await client.post(f"{place}/claim", json={"by": "aline"})).json()["claimed_by"] == "aline"
        assert (await client.post(f"{place}/claim", json={"by": "eric"})).status_code == 409
        question = text("Is anybody there?")
        await deliver(client, question)
        await until(lambda: asyncio.sleep(0, question["id"] in cloud.marks))
        assert (await client.post(f"{place}/answer", json={"body": "Muraho, this is Aline."})).status_code == 202
        await until(lambda: asyncio.sleep(0, len(cloud.sent) == 2))
        assert said(cloud.sent[1]) == "Muraho, this is Aline.", "the agent said nothing"
        assert (await client.post(f"{place}/close")).json()["status"] == "closed"
        assert (await client.post(f"{place}/answer", json={"body": "x"})).status_code == 409
        assert (await talk(client, cloud, text("menu")))[-1] == MENU


async def test_stop_ends_everything_but_answers_and_start_undoes_it(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    template = {"to": f"+{NUMBER}", "type": "template", "template": {"name": "news"}}
    async with webhook(environ) as client, worker(environ):
        assert (await talk(client, cloud, text("STOP")))[-1] == OPTED_OUT
        for wanted in (template, {"to": f"+{NUMBER}", "type": "text", "text": {"body": "news"}}):
            refused = await client.post("/messages", json=wanted)
            assert (refused.status_code, refused.json()["error"]) == (409, "opted_out")
        assert (await talk(client, cloud, text("menu")))[-1] == MENU, "what they ask is answered"
        await talk(client, cloud, text("START"))
        assert (await client.post("/messages", json=template)).status_code == 202


async def test_a_template_that_was_queued_before_stop_is_not_sent_after_it(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    async with webhook(environ) as client:
        await client.post("/messages", json={"to": f"+{NUMBER}", "type": "template", "template": {"name": "news"}})
        await database.execute("insert into opt_outs (phone_number, source) values ($1, 'whatsapp')", f"+{NUMBER}")
        async with worker(environ):
            await until(lambda: database.fetchval("select count(*) from whatsapp_messages where error_code = 131050"))
    assert cloud.sent == []


async def test_the_window_opens_by_any_message_and_by_the_time_at_which_it_was_sent(
    environ: dict[str, str], database: Database
) -> None:
    news = {"to": f"+{NUMBER}", "type": "text", "text": {"body": "news"}}
    photo = {**text(), "type": "image", "image": {"id": "1"}}
    async with webhook(environ) as client:
        await deliver(client, {**photo, "timestamp": str(int(photo["timestamp"]) - 3 * 86_400)})
        assert (await client.post("/messages", json=news)).json()["error"] == "outside_window"
        await deliver(client, {**photo, "id": "wamid.new"})
        assert (await client.post("/messages", json=news)).status_code == 202


async def test_what_its_sender_deletes_is_deleted_here(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    secret = text("my PIN is 1234", wamid="wamid.secret")
    revoke = {**text(), "type": "revoke", "revoke": {"original_message_id": "wamid.secret"}}
    async with webhook(environ) as client, worker(environ):
        await talk(client, cloud, secret, revoke)
    row = await database.fetchrow(
        "select body, payload::text as payload from whatsapp_messages where wamid = 'wamid.secret'"
    )
    assert row is not None
    assert (row["body"], "1234" in row["payload"]) == (None, False)


async def test_a_template_takes_its_parameters_and_a_key_stands_for_one_message_only(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    def wanted(code: str) -> dict[str, Any]:
        components = [{"type": "body", "parameters": [{"type": "text", "text": code}]}]
        return {"to": f"+{NUMBER}", "type": "template", "template": {"name": "code", "components": components}}

    async with webhook(environ) as client, worker(environ):
        key = {"Idempotency-Key": "k"}
        assert (await client.post("/messages", json=wanted("1"), headers=key)).status_code == 202
        assert (await client.post("/messages", json=wanted("1"), headers=key)).status_code == 202
        assert (await client.post("/messages", json=wanted("2"), headers=key)).status_code == 409
        await until(lambda: asyncio.sleep(0, cloud.sent))
    assert cloud.sent[0]["template"]["components"][0]["parameters"][0]["text"] == "1"


async def test_a_person_without_a_number_has_a_conversation_of_their_own(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    async with webhook(environ) as client, worker(environ):
        await talk(client, cloud, {**text("1"), "from": "RW.1"}, {**text("2"), "from": "RW.2"})
    assert [message["recipient"] for message in cloud.sent] == ["RW.1", "RW.2"]
    assert await database.fetchval("select count(*) from users where whatsapp_id in ('RW.1', 'RW.2')") == 2


async def test_a_very_long_message_is_answered_and_told_so(
    environ: dict[str, str], database: Database, cloud: CloudApi
) -> None:
    async with webhook(environ) as client, worker(environ):
        (answer,) = await talk(client, cloud, text("I need a house. " * 400))
    assert "I have read the first 4,096 characters" in answer


async def _more_than(cloud: CloudApi, count: int) -> bool:
    await asyncio.sleep(0)
    return len(cloud.sent) > count


async def _marked(cloud: CloudApi, wamid: str) -> bool:
    await asyncio.sleep(0)
    return wamid in cloud.marks
