"""Calls to another of our services: token, request id, time-out, breaker, one kind of error."""

from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec

from easymo_platform.runtime.auth import Tokens
from easymo_platform.runtime.breaker import CircuitBreaker
from easymo_platform.runtime.logs import tracing_headers
from easymo_platform.runtime.metrics import Metrics

T = TypeVar("T")

LATER_S = 2.0
"""When a peer is asked again that did not say when."""

LATER_MOST_S = 300.0


class PeerError(Exception):
    """Another service did not do what was asked. ``status`` is its answer, 0 if there was none."""

    def __init__(self, peer: str, path: str, status: int, problem: str) -> None:
        super().__init__(f"{peer} did not do {path}: {problem}")
        self.status = status


class PeerDown(PeerError):
    """No answer in time, or a 5xx: it may work later. This is what opens the breaker."""


class PeerBusy(PeerDown):
    """It said "later" (429, 503), or was not reached at all: nothing was done. `retry_after_s` is when to ask again."""

    def __init__(self, peer: str, path: str, status: int, problem: str, retry_after_s: float) -> None:
        super().__init__(peer, path, status, problem)
        self.retry_after_s = retry_after_s


class Peer:
    """One of our services, as another one calls it. Use it inside ``async with``."""

    def __init__(self, name: str, url: str, tokens: Tokens, metrics: Metrics, timeout_s: float = 10.0) -> None:
        self.name = name
        self._tokens = tokens
        self._breaker = CircuitBreaker(name, metrics, failures=(PeerDown,))
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout_s)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def post(self, path: str, body: Any, answer: type[T], *, scope: str, idempotency_key: str = "") -> T:
        """POST ``body`` as JSON and decode the answer.

        Raises:
            PeerBusy: it said "later", or no connection came about.
            PeerDown: no answer, or a 5xx.
            PeerError: any other refusal.
            BreakerOpen: it was down too often; nothing was sent.
        """
        headers = {"content-type": "application/json", **tracing_headers()}
        if self._tokens.can_sign:  # where AUTH_DISABLED=true there may be no key
            headers["authorization"] = f"Bearer {self._tokens.sign(self.name, [scope])}"
        if idempotency_key:
            headers["idempotency-key"] = idempotency_key
        async with self._breaker.attempt():
            try:
                response = await self._http.post(path, content=msgspec.json.encode(body), headers=headers)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                raise PeerBusy(self.name, path, 0, f"{type(error).__name__} {error}".strip(), LATER_S) from error
            except httpx.TransportError as error:
                raise PeerDown(self.name, path, 0, f"{type(error).__name__} {error}".strip()) from error
            if response.status_code == 503:
                raise self._busy(path, response)
            if response.status_code >= 500:
                raise PeerDown(self.name, path, response.status_code, f"it answered {response.status_code}")
        if response.status_code == 429:  # it works and has enough to do: that does not speak against it
            raise self._busy(path, response)
        if not response.is_success:
            raise PeerError(self.name, path, response.status_code, f"it answered {response.status_code}")
        try:
            return msgspec.json.decode(response.content, type=answer)
        except msgspec.DecodeError as error:
            raise PeerError(self.name, path, response.status_code, f"its answer is malformed ({error})") from error

    def _busy(self, path: str, response: httpx.Response) -> PeerBusy:
        try:
            wait_s = min(LATER_MOST_S, max(0.0, float(response.headers.get("retry-after", LATER_S))))
        except ValueError:  # a date
            wait_s = LATER_S
        return PeerBusy(self.name, path, response.status_code, f"it answered {response.status_code}", wait_s)
