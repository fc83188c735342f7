"""GET /analytics/*."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.conftest import Database
from tests.voice_bridge.client import NUMBER, insert_call, insert_user, voice_bridge


def ago(**duration: float) -> datetime:
    return datetime.now(UTC) - timedelta(**duration)


async def insert_transaction(database: Database, amount: int, status: str = "completed", **columns: object) -> None:
    row = {"transaction_ref": f"T-{amount}-{status}", "type": "payment", "amount": amount, "status": status, **columns}
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    await database.execute(f"insert into transactions ({', '.join(row)}) values ({places})", *row.values())


async def insert_message(database: Database, created_at: datetime) -> None:
    await database.execute(
        "insert into whatsapp_messages (direction, from_number, to_number, message_type, created_at) "
        "values ('inbound', $1, $1, 'text', $2)",
        NUMBER,
        created_at,
    )


@pytest.mark.parametrize(("window", "days"), [("24h", 1), ("7d", 7), ("30d", 30)])
async def test_dashboard_sums_what_falls_into_the_window(
    environ: dict[str, str], database: Database, window: str, days: int
) -> None:
    inside, outside = ago(days=days, minutes=-5), ago(days=days, minutes=5)
    for moment in (inside, outside):
        for status in ("completed", "failed", "busy", "canceled"):
            await insert_call(database, status, created_at=moment)
        await insert_message(database, moment)
    await insert_transaction(database, 700, created_at=inside)
    await insert_transaction(database, 55, created_at=inside, currency="USD")
    await insert_transaction(database, 1000, created_at=outside)
    await insert_transaction(database, 2000, "pending", created_at=inside)
    async with voice_bridge(environ) as client:
        dashboard = (await client.get("/analytics/dashboard", params={"window": window})).json()
    kpis: list[tuple[str, object, str]] = [
        (kpi["name"], Decimal(kpi["value"]), kpi["unit"]) for kpi in dashboard["kpis"]
    ]
    assert kpis == [
        ("calls", 4, "calls"),
        ("failures", 2, "calls"),
        ("messages", 1, "messages"),
        ("revenue", 700, "RWF"),
        ("revenue", 55, "USD"),
    ]
    (point,) = dashboard["timeseries"]
    assert (point["calls"], point["failures"], point["messages"]) == (4, 2, 1)
    assert point["revenue"] == {"RWF": "700.00", "USD": "55.00"}


async def test_timeseries_has_a_point_per_hour_in_order(environ: dict[str, str], database: Database) -> None:
    noon = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for hours, calls in ((3, 2), (1, 1), (2, 3)):
        for _ in range(calls):
            await insert_call(database, "completed", created_at=noon - timedelta(hours=hours))
    async with voice_bridge(environ) as client:
        points = (await client.get("/analytics/dashboard")).json()["timeseries"]
    assert [point["calls"] for point in points] == [2, 3, 1]
    assert points[0]["bucket"] == f"{(noon - timedelta(hours=3)).isoformat().removesuffix('+00:00')}Z"


async def test_transactions_come_newest_first_with_totals_and_what_is_pending(
    environ: dict[str, str], database: Database
) -> None:
    user_id = await insert_user(database)
    for age_days in (0.5, 2, 40):
        await insert_transaction(database, int(age_days * 100), user_id=user_id, created_at=ago(days=age_days))
    await insert_transaction(database, 1, "pending", created_at=ago(days=1.5))
    await insert_transaction(database, 2, "pending", created_at=ago(days=50))
    async with voice_bridge(environ) as client:
        report = (await client.get("/analytics/transactions", params={"limit": 2})).json()
        of_user = (await client.get("/transactions", params={"user_id": str(user_id)})).json()
    assert [row["amount"] for row in report["transactions"]] == ["50.00", "1.00"]
    assert report["revenue_of_last_day"] == [{"currency": "RWF", "revenue": "50.00", "transactions": 1}]
    assert report["revenue_of_last_30_days"] == [{"currency": "RWF", "revenue": "250.00", "transactions": 2}]
    assert [row["amount"] for row in report["oldest_pending"]] == ["2.00", "1.00"]
    assert [row["amount"] for row in of_user["transactions"]] == ["50.00", "200.00", "4000.00"]


async def test_voice_report_filters_calls_and_sums_all_that_match(environ: dict[str, str], database: Database) -> None:
    started = ago(hours=2)
    for seconds in (1, 3):
        times = {"started_at": started, "answered_at": started + timedelta(seconds=seconds), "created_at": started}
        await insert_call(database, "completed", duration_seconds=60 * seconds, topic="Maize 100%", **times)
    await insert_call(database, "failed", created_at=started, to_number="+250700000999")
    await insert_call(database, "failed", created_at=ago(days=3))
    async with voice_bridge(environ) as client:

        async def report(**query: str) -> tuple[int, dict[str, object]]:
            answer = (await client.get("/analytics/voice", params=query)).json()
            return len(answer["calls"]), answer["totals"]

        listed, totals = await report()
        assert (listed, totals["calls"], totals["completed"], totals["failed"]) == (3, 3, 2, 1)
        assert totals["mean_duration_s"] == 120
        assert totals["p95_time_to_assistant_s"] == pytest.approx(2.9)
        assert (await report(status="failed"))[0] == 1
        assert (await report(search="000999"))[0] == 1
        assert (await report(search="MAIZE 100%"))[0] == 2
        assert (await report(search="%"))[0] == 2
        assert (await report(status="failed", **{"from": ago(days=4).isoformat()}))[0] == 2
        assert (await report(**{"from": ago(days=4).isoformat(), "to": ago(days=2).isoformat()}))[0] == 1
        assert (await report(search="nothing"))[1]["mean_duration_s"] is None


@pytest.mark.parametrize(
    "path",
    [
        "/analytics/live-calls?limit=0",
        "/analytics/live-calls?limit=101",
        "/analytics/live-calls?limit=many",
        "/analytics/live-calls?status=ringing",
        "/analytics/dashboard?window=1y",
        "/analytics/transactions?limit=51",
        "/analytics/voice?status=asleep",
        "/analytics/voice?from=yesterday",
        "/analytics/voice?search=",
        "/calls",
        "/calls?number=12",
        "/calls?user_id=7",
        f"/calls?number={NUMBER}&user_id=00000000-0000-0000-0000-000000000001",
        "/transactions",
    ],
)
async def test_wrong_parameter_is_an_invalid_query(environ: dict[str, str], path: str) -> None:
    async with voice_bridge(environ) as client:
        response = await client.get(path)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_query")


@pytest.mark.parametrize("path", ["live-calls", "dashboard", "transactions", "voice"])
async def test_failing_database_makes_analytics_unavailable(
    environ: dict[str, str], database: Database, path: str
) -> None:
    async with voice_bridge(environ) as client:
        await database.execute("alter table voice_calls rename to a; alter table transactions rename to b")
        response = await client.get(f"/analytics/{path}")
    assert (response.status_code, response.json()["error"]) == (500, "analytics_unavailable")
    assert "voice_calls" not in response.text
