"""Structured logs: one JSON object a line on stderr, with the request id and without personal data."""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

import msgspec
import structlog

from easymo_platform.runtime.addresses import without_password

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the request under way in this task; empty outside of requests."""

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
"""Id of what the request is part of, over all services: the caller's, or the first request's own."""


def identify(request: str, correlation: str = "") -> None:
    """Say what this task works on: logs and outgoing calls carry it. Without a ``correlation`` it begins here."""
    request_id.set(request)
    correlation_id.set(correlation or request)


def tracing_headers() -> dict[str, str]:
    """What an outgoing call carries, so that the other side's logs can be found from ours."""
    return {"x-request-id": request_id.get(), "x-correlation-id": correlation_id.get()}


_EMAIL = re.compile(r"([\w.%+-])[\w.%+-]*@([\w-]+(?:\.[\w-]+)+)")
_PHONE = re.compile(r"(?<![\w-])(\+?\d{3})\d{4,10}(\d{2})(?![\w-])")


def mask_personal_data(text: str) -> str:
    """``text`` with phone numbers cut down to ``+250…43``, e-mail addresses to ``a…@example.com``; no passwords."""
    text = without_password(text)
    if "@" in text:
        text = _EMAIL.sub(r"\1…@\2", text)
    return _PHONE.sub(r"\1…\2", text)


def _mask(value: Any) -> Any:
    if isinstance(value, str):
        return mask_personal_data(value)
    if isinstance(value, dict):
        return {key: _mask(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mask(item) for item in value]
    if value is None or isinstance(value, int | float):
        return value
    return mask_personal_data(str(value))  # not its fields: an object may hold secrets that its text does not show


def _without_personal_data(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if key != "timestamp":
            event[key] = _mask(event[key])
    return event


def _with_ids(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if current := request_id.get():
        event["request_id"] = current
        event["correlation_id"] = correlation_id.get()
    return event


def _encode(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def configure_logs(service: str, level: str) -> None:
    """Send structlog's and the standard library's records (uvicorn's, asyncpg's) to stderr in the same form."""

    def _with_service(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_service,
        _with_ids,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _without_personal_data,
                structlog.processors.JSONRenderer(serializer=_encode),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
