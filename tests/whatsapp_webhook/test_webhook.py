"""The webhook: signature before anything else, everything of a batch, nothing twice, nothing a 5xx."""

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from easymo_platform.whatsapp_webhook import signature
from easymo_platform.whatsapp_webhook.ingest import BATCH_MAX_BYTES
from tests.conftest import Database
from tests.whatsapp_webhook.client import (
    NUMBER,
    SECRET,
    VERIFY,
    change,
    deliver,
    envelope,
    post,
    status,
    text,
    webhook,
)

COUNT = "select count(*) from whatsapp_messages"


@pytest.mark.parametrize(
    ("mode", "token", "answer"),
    [
        ("subscribe", VERIFY, (200, "1158")),
        ("subscribe", VERIFY + "x", 403),
        ("unsubscribe", VERIFY, 403),
        ("", "é", 403),
    ],
)
async def test_registration_is_answered_only_with_the_agreed_token(
    environ: dict[str, str], mode: str, token: str, answer: Any
) -> None:
    query = {"hub.mode": mode, "hub.verify_token": token, "hub.challenge": "1158"}
    async with webhook(environ) as client:
        response = await client.get("/webhook", params=query)
    if answer == 403:
        assert (response.status_code, response.json()["error"]) == (403, "forbidden")
    else:
        assert (response.status_code, response.text) == answer
        assert response.headers["content-type"].startswith("text/plain")


async def test_everything_in_a_batch_is_stored(environ: dict[str, str], database: Database) -> None:
    first, second, third, picture = text("1"), text("2"), text("3"), {**text(), "type": "image", "image": {"id": "7"}}
    button = {**text(), "type": "interactive", "interactive": {"button_reply": {"id": "farmer", "title": "Farming"}}}
    body = {
        "object": "whatsapp_business_account",
        "entry": [
            {"id": "1", "changes": [change(first, second), change(third)]},
            {"id": "2", "changes": [change(picture, button), change(text("no"), field="account_alerts")]},
            {"id": "3", "changes": []},
        ],
    }
    async with webhook(environ) as client:
        response = await post(client, body)
    assert (response.status_code, response.json()) == (
        200,
        {"status": "accepted", "messages": 5, "statuses": 0, "duplicates": 0},
    )
    rows = await database.fetch("select * from whatsapp_messages order by created_at")
    assert [row["wamid"] for row in rows] == [message["id"] for message in (first, second, third, picture, button)]
    assert [row["status"] for row in rows] == ["pending"] * 5
    assert [row["body"] for row in rows] == ["1", "2", "3", None, "Farming"]
    assert {row["from_number"] for row in rows} == {f"+{NUMBER}"}
    assert await database.fetchval("select entries from webhook_deliveries") == 3


async def test_a_message_delivered_again_is_counted_and_stored_once(
    environ: dict[str, str], database: Database
) -> None:
    message = text()
    body = envelope(message, message, text())
    async with webhook(environ) as client:
        answers = [response.json() for response in await asyncio.gather(*(post(client, body) for _ in range(5)))]
        page = (await client.get("/metrics")).text
    assert sorted(answer["duplicates"] for answer in answers) == [1, 3, 3, 3, 3]
    assert await database.fetchval(COUNT) == 2
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    assert [s.value for s in samples if s.name == "webhook_duplicates_total"] == [13]


def _forged(body: bytes) -> list[dict[str, str]]:
    right = signature.sign(SECRET, body)
    return [
        {},
        {signature.HEADER: ""},
        {signature.HEADER: right.removeprefix("sha256=")},
        {signature.HEADER: right.replace("sha256", "sha1")},
        {signature.HEADER: right.upper()},
        {signature.HEADER: right[:-1]},
        {signature.HEADER: signature.sign("another secret", body)},
        {"x-hub-signature": right},
        {"x-wa-internal-forward": "true"},
        {signature.HEADER: signature.sign(SECRET, msgspec.json.format(body, indent=2))},
    ]


async def test_only_metas_signature_of_these_very_bytes_is_accepted(
    environ: dict[str, str], database: Database
) -> None:
    body = '{"object":"x","entry":[],"name":"caf\u00e9"}'.encode()
    reserialised = msgspec.json.encode(msgspec.json.decode(body)).replace("é".encode(), b"\\u00e9")
    async with webhook(environ) as client:
        for headers in _forged(body):
            response = await client.post("/webhook", content=body, headers=headers)
            assert (response.status_code, response.json()["error"]) == (401, "bad_signature"), headers
        headers = {signature.HEADER: signature.sign(SECRET, body)}
        assert (await client.post("/webhook", content=reserialised, headers=headers)).status_code == 401
        assert (await client.post("/webhook", content=body, headers=headers)).status_code == 200
    assert await database.fetchval("select count(*) from webhook_deliveries") == 1


@pytest.mark.slow
async def test_none_of_ten_thousand_mutations_of_signed_bodies_is_accepted(
    environ: dict[str, str], database: Database
) -> None:
    rng = random.Random(6)
    async with webhook(environ) as client:
        accepted = []
        for number in range(10_000):
            body = msgspec.json.encode(envelope(text(f"message {number} – é", wamid=f"wamid.{number}")))
            given, mutated = signature.sign(SECRET, body), bytearray(body)
            if rng.random() < 0.2:
                place = rng.randrange(len("sha256="), len(given))
                digit = rng.choice([d for d in "0123456789abcdef" if d != given[place]])
                given = given[:place] + digit + given[place + 1 :]
            else:
                _mutate(mutated, rng)
            assert bytes(mutated) != body or given != signature.sign(SECRET, body)
            response = await client.post("/webhook", content=bytes(mutated), headers={signature.HEADER: given})
            if response.status_code != 401:
                accepted.append((number, response.status_code))
    assert accepted == []
    assert await database.fetchval(COUNT) == 0


def _mutate(body: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(body))
    match rng.randrange(4):
        case 0:
            body[place] ^= 1 << rng.randrange(8)
        case 1:
            del body[place]
        case 2:
            body.insert(place, rng.randrange(256))
        case _:
            del body[max(1, place) :]


DEEP = b'{"object":"x","entry":[{"changes":[{"field":"messages","value":{"messages":[%s%s]}}]}]}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"object":"x","entry":{}}',
        b'{"object":"x","entry":[' + b'{"changes":[' * 5000,
        DEEP % (b"[" * 100_000, b"]" * 100_000),
        DEEP % (b'{"id":"wamid.1","note":"', b'\\q"}'),
    ],
)
async def test_signed_body_that_is_no_payload_is_invalid(environ: dict[str, str], body: bytes) -> None:
    async with webhook(environ) as client:
        response = await post(client, body)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_payload")


async def test_what_nobody_understands_is_passed_over_and_the_rest_is_stored(
    environ: dict[str, str], database: Database
) -> None:
    strange = [
        7,
        None,
        {},
        {"id": 7},
        {"id": "wamid.no-sender", "type": "text", "text": {"body": "who am I"}},
        {**text(wamid="wamid.bad-sender"), "from": {"a": 1}},
        {**text(wamid="wamid.word-as-sender"), "from": "RW.1234567890"},
        {**text(wamid="wamid.bad-text"), "text": 7},
        {**text(wamid="wamid.bad-type"), "type": ["text"]},
        {**text(wamid="wamid.bad-time"), "timestamp": "soon"},
        {**text(wamid="wamid.huge-time"), "timestamp": "9" * 40},
        {**text("nul \0 in it", wamid="wamid.nul"), "extra": {"deep\0": "x\0"}},
        {**text(wamid="wamid.hour-off"), "timestamp": "4102444800"},
    ]
    reports = [
        7,
        {},
        {"id": "wamid.x", "status": "played"},
        status("wamid.unknown", "read"),
        status("w", "sent", errors=7),
    ]
    async with webhook(environ) as client:
        answer = await deliver(client, *strange, text(wamid="wamid.good"), statuses=reports)
    assert answer == {"status": "accepted", "messages": 10, "statuses": 2, "duplicates": 2}
    rows = {row["wamid"]: row for row in await database.fetch("select * from whatsapp_messages")}
    assert rows["wamid.good"]["status"] == "pending"
    assert rows["wamid.word-as-sender"]["from_number"] == "RW.1234567890"
    for name in ("no-sender", "bad-sender"):
        assert rows[f"wamid.{name}"]["status"] == "skipped", name
    assert (rows["wamid.bad-time"]["provider_ts"], rows["wamid.nul"]["body"]) == (None, "nul � in it")


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (b'{"entry":7}', "entry"),
        (b'{"changes":[{"field":"messages","value":[]}]}', "messages"),
        (b'{"changes":[{"field":"messages","value":{"messages":7}}]}', "messages"),
        (b'{"changes":[{"field":"messages","value":{"messages":[{"no":"id"}]}}]}', "message"),
        (b'{"changes":[{"field":"messages","value":{"errors":[{"code":131051}]}}]}', "errors"),
        (b'{"changes":[{"field":"calls","value":{"calls":[]}}]}', "calls"),
        (b"7", "entry"),
    ],
)
async def test_what_cannot_be_read_is_kept_as_it_came_and_the_rest_is_stored(
    environ: dict[str, str], database: Database, bad: bytes, kind: str
) -> None:
    good = msgspec.json.encode(envelope(text(wamid="wamid.good")))
    body = good.replace(b'"entry":[', b'"entry":[' + bad + b",")
    async with webhook(environ) as client:
        response = await post(client, body)
    assert (response.status_code, response.json()["messages"]) == (200, 1)
    assert await database.fetchval("select status from whatsapp_messages") == "pending"
    assert await database.fetchval("select kind from webhook_events") == kind


@pytest.mark.parametrize("broken", [b"half \\ud83d of a pair", b"\xff\xfe no utf-8", b"the other half \\udc00"])
async def test_text_that_is_no_unicode_loses_a_character_and_not_the_delivery(
    environ: dict[str, str], database: Database, broken: bytes
) -> None:
    async with webhook(environ) as client:
        body = msgspec.json.encode(envelope(text("BROKEN"), text("whole \N{GRINNING FACE}"))).replace(b"BROKEN", broken)
        assert (await post(client, body)).status_code == 200
    said = [row["body"] for row in await database.fetch("select body from whatsapp_messages order by created_at")]
    assert said[1] == "whole \N{GRINNING FACE}"
    assert "\ufffd" in said[0]


async def test_account_events_for_a_person_are_told_from_good_news(environ: dict[str, str], database: Database) -> None:
    changes = [
        {"field": "account_update", "value": {"event": "ACCOUNT_RESTRICTION"}},
        {"field": "message_template_status_update", "value": {"event": "PAUSED"}},
        {"field": "message_template_status_update", "value": {"event": "APPROVED"}},
        {"field": "phone_number_quality_update", "value": {"event": "DOWNGRADE"}},
        {"field": "user_preferences", "value": {"user_preferences": [{"value": "stop"}]}},
        {"field": "history", "value": {"history": []}},
    ]
    async with webhook(environ) as client:
        await post(client, {"object": "x", "entry": [{"id": "1", "changes": changes}]})
    rows = await database.fetch("select act from webhook_events order by received_at, payload ->> 'field'")
    assert sorted(row["act"] for row in rows) == [False, False, True, True, True, True]


async def test_value_that_postgres_cannot_store_is_kept_as_text(environ: dict[str, str], database: Database) -> None:
    good = [envelope(text()) for _ in range(6)]
    raw = msgspec.json.encode(envelope({**text(), "amount": 1})).replace(b'"amount":1', b'"amount":1' + b"0" * 140_000)
    async with webhook(environ) as client:
        poison, *answers = await asyncio.gather(post(client, raw), *(post(client, body) for body in good))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert poison.status_code == 200
    assert await database.fetchval(COUNT) == 6
    row = await database.fetchrow("select kind, act, length(payload ->> 'as_text') as size from webhook_events")
    assert row is not None
    assert (row["kind"], row["act"], row["size"] > 140_000) == ("messages", True, True)


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_over_three_megabytes_is_refused(environ: dict[str, str], chunked: bool) -> None:
    body = msgspec.json.encode(envelope(text("x" * 3 * 1024 * 1024)))
    headers = {signature.HEADER: signature.sign(SECRET, body)}

    async def chunks() -> Any:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    async with webhook(environ) as client:
        response = await client.post("/webhook", content=chunks() if chunked else body, headers=headers)
        assert (response.status_code, response.json()["error"]) == (413, "payload_too_large")
        assert (await post(client, envelope(text("x" * 2 * 1024 * 1024)))).status_code == 200


async def test_when_the_database_is_away_meta_is_told_to_come_again(
    environ: dict[str, str], database: Database
) -> None:
    message = text()
    async with webhook(environ) as client:
        await database.execute("alter table webhook_deliveries rename to gone")
        response = await post(client, envelope(message))
        assert (response.status_code, response.json()["error"]) == (503, "database_unavailable")
        await database.execute("alter table gone rename to webhook_deliveries")
        assert await deliver(client, message) == {"status": "accepted", "messages": 1, "statuses": 0, "duplicates": 0}


async def test_requests_that_arrive_together_share_a_statement(environ: dict[str, str], database: Database) -> None:
    async with webhook(environ) as client:
        responses = await asyncio.gather(*(post(client, envelope(text())) for _ in range(100)))
        page = (await client.get("/metrics")).text
    assert {response.status_code for response in responses} == {200}
    assert await database.fetchval(COUNT) == 100
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    (statements,) = [
        s.value for s in samples if s.name == "db_queries_total" and s.labels["query"] == "store_deliveries"
    ]
    assert statements < 50


async def test_large_bodies_do_not_share_a_statement(environ: dict[str, str], database: Database) -> None:
    large = BATCH_MAX_BYTES // 2 + 1
    async with webhook(environ) as client:
        await asyncio.gather(*(post(client, envelope(text("x" * large))) for _ in range(4)))
        page = (await client.get("/metrics")).text
    assert await database.fetchval(COUNT) == 4
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    (statements,) = [
        s.value for s in samples if s.name == "db_queries_total" and s.labels["query"] == "store_deliveries"
    ]
    assert statements >= 2


async def test_service_does_not_start_without_a_secret(environ: dict[str, str]) -> None:
    with pytest.raises(Exception, match="WHATSAPP_APP_SECRET is not set"):
        async with webhook(environ | {"WHATSAPP_APP_SECRET": ""}):
            pass


async def _outbound(database: Database, wamid: str | None, **columns: Any) -> Any:
    row: dict[str, Any] = {
        "direction": "outbound",
        "from_number": "+250700000999",
        "to_number": f"+{NUMBER}",
        "message_type": "text",
    }
    row |= {"status": "accepted", "wamid": wamid, **columns}
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    return await database.fetchval(
        f"insert into whatsapp_messages ({', '.join(row)}) values ({places}) returning id", *row.values()
    )


T = 1_772_616_600


@pytest.mark.parametrize(
    ("reports", "final"),
    [
        ((("sent", T), ("delivered", T + 1), ("read", T + 2)), "read"),
        ((("sent", T), ("read", T + 2)), "read"),
        ((("sent", T), ("delivered", T + 1)), "delivered"),
        ((("sent", T), ("failed", T + 1)), "failed"),
        ((("failed", T + 1), ("delivered", T + 2)), "delivered"),
        ((("delivered", T + 1), ("failed", T + 2)), "failed"),
        ((("failed", T + 1), ("read", T)), "read"),
    ],
)
async def test_status_is_the_same_in_whatever_order_and_however_often_it_is_reported(
    environ: dict[str, str], database: Database, reports: tuple[tuple[str, int], ...], final: str
) -> None:
    rng = random.Random(str(reports))
    async with webhook(environ) as client:
        for number in range(4):
            wamid = f"wamid.out{number}"
            await _outbound(database, wamid)
            shuffled = rng.sample(reports, k=len(reports))
            for word, at in [*shuffled, *shuffled[:1]]:
                await deliver(client, statuses=[status(wamid, word, at)])
            assert await database.fetchval("select status from whatsapp_messages where wamid = $1", wamid) == final
        batch = [status(f"wamid.out{n}", word, at) for n in range(4) for word, at in reports]
        assert (await deliver(client, statuses=batch))["duplicates"] == len(batch)


async def test_report_that_is_faster_than_our_own_note_finds_the_message_by_our_id(
    environ: dict[str, str], database: Database
) -> None:
    message_id = await _outbound(database, None, status="pending")
    report = status("wamid.from-meta", "sent", biz_opaque_callback_data=str(message_id))
    async with webhook(environ) as client:
        assert (await deliver(client, statuses=[report]))["duplicates"] == 0
    row = await database.fetchrow("select wamid, status from whatsapp_messages where id = $1", message_id)
    assert row is not None
    assert tuple(row) == ("wamid.from-meta", "sent")


async def test_error_of_a_failed_message_is_kept(environ: dict[str, str], database: Database) -> None:
    message_id = await _outbound(database, "wamid.f")
    errors = [{"code": 131026, "title": "Message undeliverable"}]
    async with webhook(environ) as client:
        await deliver(client, statuses=[status("wamid.f", "failed", errors=errors)])
        message = (await client.get(f"/messages/{message_id}")).json()
    assert (message["status"], message["error_code"], message["error_title"]) == (
        "failed",
        131026,
        "Message undeliverable",
    )


async def test_message_is_cached_only_once_it_cannot_change(environ: dict[str, str], database: Database) -> None:
    message_id = await _outbound(database, "wamid.c", status="delivered")

    async def read(client: httpx.AsyncClient) -> tuple[str, str]:
        response = await client.get(f"/messages/{message_id}")
        return response.json()["status"], response.headers["x-cache"]

    async with webhook(environ) as client:
        assert [await read(client) for _ in range(2)] == [("delivered", "BYPASS")] * 2
        await deliver(client, statuses=[status("wamid.c", "read")])
        assert [await read(client) for _ in range(2)] == [("read", "MISS"), ("read", "HIT")]


async def test_lists_show_messages_of_a_number_or_a_user(environ: dict[str, str], database: Database) -> None:
    async with webhook(environ) as client:
        await deliver(client, text("a"), text("b", "250700000002"))
        await _outbound(database, "wamid.o")

        async def bodies(**query: str) -> list[str | None]:
            response = await client.get("/messages", params=query)
            assert response.status_code == 200, response.text
            return [message["body"] for message in response.json()["messages"]]

        assert await bodies() == [None, "b", "a"]
        assert await bodies(phone=f"+{NUMBER}") == ["a"]
        assert await bodies(phone=f"+{NUMBER}", direction="outbound") == [None]
        assert await bodies(user_id="00000000-0000-0000-0000-000000000001") == []
        for query in ({"phone": "x"}, {"phone": NUMBER, "user_id": "00000000-0000-0000-0000-000000000001"}):
            assert (await client.get("/messages", params=query)).status_code == 400
        unsent = (await client.get("/messages/unsent")).json()
        oldest = (await client.get("/messages/unsent?oldest=true")).json()
    assert len(unsent["messages"]) == len(oldest["messages"]) == 2
    assert unsent["by_status"] == {"pending": 2, "accepted": 1}


async def test_pages_show_every_message_once_whatever_was_created_at_the_same_time(
    environ: dict[str, str], database: Database
) -> None:
    moments = [datetime(2026, 3, 4, 9, minute, tzinfo=UTC) for minute in (1, 2, 2, 2, 2, 2, 3, 4, 4)]
    for number, at in enumerate(moments):
        sender = f"+{NUMBER}" if number % 2 else "+250700000002"
        columns = {"created_at": at, "direction": "inbound", "from_number": sender, "status": "skipped"}
        await _outbound(database, f"wamid.page{number}", **columns)

    async with webhook(environ) as client:

        async def all_pages(**query: Any) -> list[dict[str, Any]]:
            shown, before = [], None
            while True:
                cursor: dict[str, Any] = {} if before is None else {"before": before}
                page = (await client.get("/messages", params={**query, **cursor})).json()
                assert len(page["messages"]) <= query["limit"]
                shown += page["messages"]
                if (before := page["next"]) is None:
                    return shown
                await _outbound(database, None)  # newer than every page asked for

        for limit in (1, 2, 3, 100):
            shown = [one for one in await all_pages(limit=limit, status="skipped") if "page" in one["wamid"]]
            assert len({one["id"] for one in shown}) == len(shown) == len(moments)
            assert [one["created_at"] for one in shown] == sorted((one["created_at"] for one in shown), reverse=True)
        of_number = await all_pages(limit=2, phone=f"+{NUMBER}")
        assert {one["wamid"] for one in of_number} == {f"wamid.page{number}" for number in (1, 3, 5, 7)}
        for query in ({"before": "yesterday"}, {"before": "1.x"}, {"before": "9" * 30}, {"limit": 0}, {"limit": 101}):
            answer = await client.get("/messages", params=query)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_query")
