"""What the dashboard shows, aggregated in Postgres."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import asyncpg
from msgspec import Struct

from easymo_platform.runtime.database import Database
from easymo_platform.voice_bridge.model import CallSummary

Window = Literal["24h", "7d", "30d"]

_AGE = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_BUCKET = {"24h": "hour", "7d": "day", "30d": "day"}


class Kpi(Struct, frozen=True):
    """One figure over the whole window; ``unit`` is ``calls``, ``messages`` or a currency."""

    name: str
    value: int | Decimal
    unit: str


class Point(Struct):
    """Figures of the hour or day (UTC) that begins at ``bucket``; the first one is cut off by the window."""

    bucket: datetime
    calls: int = 0
    failures: int = 0
    messages: int = 0
    revenue: dict[str, Decimal] = {}


class Dashboard(Struct, frozen=True):
    """Calls, messages, failed calls and revenue of a window. Hours or days without any of them are left out."""

    window: Window
    kpis: list[Kpi]
    timeseries: list[Point]
    generated_at: datetime


class Revenue(Struct, frozen=True):
    """Completed transactions in one currency."""

    currency: str
    revenue: Decimal
    transactions: int


class Transaction(Struct, frozen=True):
    """A transaction as it stands in lists."""

    id: UUID
    transaction_ref: str
    type: str
    amount: Decimal
    currency: str
    status: str
    description: str | None
    completed_at: datetime | None
    created_at: datetime


class TransactionList(Struct, frozen=True):
    """Transactions, newest first."""

    transactions: list[Transaction]


class PendingTransaction(Struct, frozen=True):
    """A transaction that waits for its end."""

    id: UUID
    transaction_ref: str
    user_id: UUID | None
    type: str
    amount: Decimal
    currency: str
    created_at: datetime


class TransactionOverview(Struct, frozen=True):
    """Newest transactions of the last 30 days, revenue per currency, and what has been pending longest."""

    transactions: list[Transaction]
    revenue_of_last_day: list[Revenue]
    revenue_of_last_30_days: list[Revenue]
    oldest_pending: list[PendingTransaction]
    generated_at: datetime


class VoiceTotals(Struct, frozen=True):
    """Over every call that matches, also those beyond the listed ones."""

    calls: int
    completed: int
    failed: int
    mean_duration_s: float | None
    p95_time_to_assistant_s: float | None


class VoiceReport(Struct, frozen=True):
    """Calls that match, newest first: at most 200, without any filter at most 100."""

    calls: list[CallSummary]
    totals: VoiceTotals


class Analytics:
    """Raises :class:`~easymo_platform.runtime.errors.DatabaseError` when Postgres fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def dashboard(self, window: Window) -> Dashboard:
        """Each of the three big tables is read once, grouped by hour or day; the KPIs are the sums of the groups."""
        span: dict[str, Any] = {"bucket": _BUCKET[window], "age": _AGE[window]}
        async with self._database.session() as session:
            calls = await session.fetch("calls_by_time", **span)
            messages = await session.fetch("messages_by_time", **span)
            revenue = await session.fetch("revenue_by_time", **span)
        points = _merge(calls, messages, revenue)
        return Dashboard(window, _kpis(points), points, datetime.now(UTC))

    async def transactions(self, limit: int) -> TransactionOverview:
        """The newest ``limit`` transactions of the last 30 days, with the totals around them."""
        async with self._database.session() as session:
            newest = await session.fetch("newest_transactions", limit=limit)
            last_day = await session.fetch("revenue_of_last_day")
            last_30_days = await session.fetch("revenue_of_last_30_days")
            pending = await session.fetch("oldest_pending_transactions")
        return TransactionOverview(
            transactions=[Transaction(**row) for row in newest],
            revenue_of_last_day=[Revenue(**row) for row in last_day],
            revenue_of_last_30_days=[Revenue(**row) for row in last_30_days],
            oldest_pending=[PendingTransaction(**row) for row in pending],
            generated_at=datetime.now(UTC),
        )

    async def transactions_of_user(self, user_id: UUID) -> TransactionList:
        """The newest 50 transactions of a user."""
        rows = await self._database.fetch("transactions_of_user", user_id=user_id)
        return TransactionList([Transaction(**row) for row in rows])

    async def voice(
        self, status: str | None, since: datetime | None, until: datetime | None, search: str | None
    ) -> VoiceReport:
        """Calls by status, time and a part of number or topic; by default those of the last 24 hours."""
        now = datetime.now(UTC)
        matching = {
            "since": since or now - timedelta(hours=24),
            "until": until or now + timedelta(minutes=1),
            "status": status,
            "search": search,
        }
        unfiltered = status is None and since is None and until is None and search is None
        async with self._database.session() as session:
            rows = await (
                session.fetch("calls_of_last_day") if unfiltered else session.fetch("matching_calls", **matching)
            )
            totals = await session.fetch("totals_of_matching_calls", **matching)
        return VoiceReport([CallSummary(**row) for row in rows], VoiceTotals(**totals[0]))


def _merge(calls: list[asyncpg.Record], messages: list[asyncpg.Record], revenue: list[asyncpg.Record]) -> list[Point]:
    points: dict[datetime, Point] = {}
    for row in calls:
        points[row["bucket"]] = Point(row["bucket"], calls=row["calls"], failures=row["failures"])
    for row in messages:
        points.setdefault(row["bucket"], Point(row["bucket"])).messages = row["messages"]
    for row in revenue:
        points.setdefault(row["bucket"], Point(row["bucket"])).revenue[row["currency"]] = row["revenue"]
    return sorted(points.values(), key=lambda point: point.bucket)


def _kpis(points: list[Point]) -> list[Kpi]:
    revenue: dict[str, Decimal] = {}
    for point in points:
        for currency, amount in point.revenue.items():
            revenue[currency] = revenue.get(currency, Decimal(0)) + amount
    return [
        Kpi("calls", sum(point.calls for point in points), "calls"),
        Kpi("failures", sum(point.failures for point in points), "calls"),
        Kpi("messages", sum(point.messages for point in points), "messages"),
        *[Kpi("revenue", amount, currency) for currency, amount in sorted(revenue.items())],
    ]
