"""Routes of the dashboard."""

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Response, get
from litestar.params import FromQuery, QueryParameter

from easymo_platform.runtime.auth import SCOPE
from easymo_platform.runtime.errors import DATABASE_ERROR
from easymo_platform.runtime.openapi import EXAMPLE, answers
from easymo_platform.runtime.routes import AnyRequest
from easymo_platform.voice_bridge.analytics import Dashboard, TransactionOverview, VoiceReport, Window
from easymo_platform.voice_bridge.api import READ, bridge
from easymo_platform.voice_bridge.model import CallStatus, LiveCalls
from easymo_platform.voice_bridge.strategies import VoiceStrategies

_CALLS = {"calls": [{"id": "00000002-22df-82a5-8699-154123453375", "status": "active"}]}


def _opt(example: dict[str, Any]) -> dict[str, Any]:
    return {DATABASE_ERROR: ("analytics_unavailable", 500), SCOPE: READ, EXAMPLE: example}


@get(
    "/analytics/live-calls",
    summary="Calls under way, newest first, at most 10 s old",
    opt=_opt(_CALLS),
    responses=answers(LiveCalls),
)
async def live_calls(
    request: AnyRequest,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 15,
    status: FromQuery[Literal["active"] | None] = None,
) -> Response[bytes]:
    voice = bridge(request)
    if status == "active":
        return await voice.cached(request, VoiceStrategies.active_calls(limit), lambda: voice.active_calls(limit))
    return await voice.cached(request, VoiceStrategies.live_calls(limit), lambda: voice.live_calls(limit))


@get(
    "/analytics/dashboard",
    summary="Calls, messages, failures and revenue, at most 5 minutes old",
    opt=_opt({"window": "24h", "kpis": [{"name": "calls", "value": 1555, "unit": "calls"}], "timeseries": []}),
    responses=answers(Dashboard),
)
async def dashboard(request: AnyRequest, window: FromQuery[Window] = "24h") -> Response[bytes]:
    voice = bridge(request)
    key = VoiceStrategies.analytics("dashboard", window)
    return await voice.cached(request, key, lambda: voice.analytics.dashboard(window))


@get(
    "/analytics/transactions",
    summary="Transactions of the last 30 days, at most 5 minutes old",
    opt=_opt({"transactions": [], "revenue_of_last_day": [{"currency": "RWF", "revenue": "12000", "transactions": 4}]}),
    responses=answers(TransactionOverview),
)
async def transaction_overview(
    request: AnyRequest, limit: Annotated[int, QueryParameter(ge=1, le=50)] = 50
) -> Response[bytes]:
    voice = bridge(request)
    key = VoiceStrategies.analytics("transactions", limit)
    return await voice.cached(request, key, lambda: voice.analytics.transactions(limit))


@get("/analytics/voice", summary="Calls by status, time and text, with totals", opt=_opt(_CALLS))
async def voice(
    request: AnyRequest,
    status: FromQuery[CallStatus | None] = None,
    since: Annotated[datetime | None, QueryParameter(name="from")] = None,
    until: Annotated[datetime | None, QueryParameter(name="to")] = None,
    search: Annotated[str | None, QueryParameter(min_length=1, max_length=64)] = None,
) -> VoiceReport:
    return await bridge(request).analytics.voice(status, since, until, search)


ANALYTICS_ROUTES = (live_calls, dashboard, transaction_overview, voice)
