"""One error shape for every service: ``{"error", "message", "details"?}``."""

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

_log = structlog.get_logger(__name__)

DATABASE_ERROR = "database_error"
"""Key of a route's ``opt``: ``(error, status)`` answered when the database fails under that route."""


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a client gets instead of the answer."""

    error: str
    message: str
    details: Any = None


class ServiceError(Exception):
    """An answer that is not the one the client hoped for. Carries what becomes the :class:`ErrorBody`."""

    def __init__(
        self, status: int, error: str, message: str, details: Any = None, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = ErrorBody(error, message, details)
        self.headers = headers


class DatabaseError(Exception):
    """Postgres did not answer a statement: it is away, too busy, or refused it. The cause is chained."""


_HTTP_ERRORS = {
    400: ErrorBody("invalid_payload", "The request body could not be read as JSON."),
    404: ErrorBody("not_found", "There is nothing at this address."),
    405: ErrorBody("method_not_allowed", "This address does not take that method."),
    413: ErrorBody("payload_too_large", "The request body is larger than this service takes."),
    415: ErrorBody("unsupported_media_type", "This operation does not take that kind of body."),
}


def _answer(status: int, body: ErrorBody, headers: dict[str, str] | None = None) -> Response[ErrorBody]:
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def _service_error(_: Request[Any, Any, Any], error: ServiceError) -> Response[ErrorBody]:
    return _answer(error.status, error.body, error.headers)


def _database_error(request: Request[Any, Any, Any], error: DatabaseError) -> Response[ErrorBody]:
    _log.error("database_error", problem=str(error), cause=repr(error.__cause__))
    code, status = request.route_handler.opt.get(DATABASE_ERROR, ("database_unavailable", 503))
    return _answer(
        status, ErrorBody(code, "The database did not answer; try again in a few seconds."), {"retry-after": "2"}
    )


def _invalid(request: Request[Any, Any, Any], error: ValidationException) -> Response[ErrorBody]:
    """Litestar names the source of each problem; a wrong body is ``invalid_payload``, else ``invalid_query``."""
    problems: list[dict[str, Any]] = list(error.extra) if isinstance(error.extra, list) else []
    in_body = (
        any(problem.get("source") in (None, "body") for problem in problems) if problems else request.method != "GET"
    )
    details = [{"field": problem.get("key", ""), "problem": problem.get("message", "")} for problem in problems]
    details = details or [{"field": "", "problem": error.detail}]
    if in_body:
        return _answer(400, ErrorBody("invalid_payload", "The request body is not what this operation takes.", details))
    return _answer(400, ErrorBody("invalid_query", "A parameter of the request is missing or malformed.", details))


def _http(_: Request[Any, Any, Any], error: HTTPException) -> Response[ErrorBody]:
    body = _HTTP_ERRORS.get(error.status_code) or ErrorBody("http_error", f"{error.detail.rstrip('.')}.")
    return _answer(error.status_code, body, error.headers)


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[ErrorBody]:
    """A defect of ours: everything about it goes to the log, nothing to the client."""
    _log.error("unexpected_error", method=request.method, exc_info=error)
    return _answer(
        500, ErrorBody("internal_error", "The service failed; the failure was logged under this request id.")
    )


def _too_deep(_: Request[Any, Any, Any], error: RecursionError) -> Response[ErrorBody]:
    """The JSON decoder's word for a body that is nested too deeply; logged, should it ever come from elsewhere."""
    _log.warning("nested_too_deeply", exc_info=error)
    return _answer(400, ErrorBody("invalid_payload", "The request body is nested too deeply."))


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    RecursionError: _too_deep,
    ServiceError: _service_error,
    DatabaseError: _database_error,
    ValidationException: _invalid,
    HTTPException: _http,
    Exception: _unexpected,
}
