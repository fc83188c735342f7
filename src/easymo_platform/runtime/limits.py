"""Rate limits, counted in Redis so that all replicas share them.

Without Redis nothing is limited: a limit protects the service, it must not become the outage. What went uncounted is
counted in ``rate_limit_skipped_total``.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from easymo_platform.runtime.auth import LOAD_TEST, Connection, Identity
from easymo_platform.runtime.breaker import BreakerOpen, CircuitBreaker
from easymo_platform.runtime.errors import ServiceError
from easymo_platform.runtime.metrics import Metrics
from easymo_platform.runtime.settings import Settings

TIMEOUT_S = 0.05
WINDOW_S = 60
HEADERS = "rate_limit_headers"
"""Key of the ASGI scope's state under which the headers of the answer wait."""

_COUNT = """
local count = redis.call('INCR', KEYS[1])
local left_ms = redis.call('PTTL', KEYS[1])
if left_ms < 0 then
  left_ms = tonumber(ARGV[1])
  redis.call('PEXPIRE', KEYS[1], left_ms)
end
return {count, left_ms}
"""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Counted:
    """Where a caller stands in the window: ``count`` of ``limit``, which begins again in ``resets_in_s``."""

    count: int
    limit: int
    resets_in_s: float

    @property
    def exceeded(self) -> bool:
        return self.count > self.limit

    def headers(self) -> dict[str, str]:
        """``X-RateLimit-*``; the reset is an ISO time."""
        reset = datetime.fromtimestamp(time.time() + self.resets_in_s, UTC)
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(0, self.limit - self.count)),
            "x-ratelimit-reset": reset.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }


class RateLimits:
    """Fixed windows of a minute, one counter per caller, by one script so that a counter cannot lose its expiry."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._service = metrics.service
        self._unlimited = frozenset(name.strip() for name in settings.rate_limit_exempt.split(","))
        self._proxies: tuple[IPv4Network | IPv6Network, ...] = settings.proxy_networks()
        self._breaker = CircuitBreaker("rate-limits", metrics, minimum=1, open_s=1.0, failures=(RedisError, OSError))
        skipped = metrics.counter("rate_limit_skipped_total", "Requests that no limit was applied to, without Redis.")
        self._skipped = skipped.labels(self._service)
        self._redis: Redis | None = None
        if settings.redis_enabled:
            self._redis = Redis.from_url(
                settings.redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, protocol=3
            )
            self._script = self._redis.register_script(_COUNT)

    async def close(self) -> None:
        """Disconnect from Redis."""
        if self._redis is not None:
            await self._redis.aclose()

    async def count(self, connection: Connection, identity: Identity) -> None:
        """Count a request of a known caller. Raises the 429 beyond its limit; those of RATE_LIMIT_EXEMPT have none."""
        settings = self._settings
        if identity.subject in self._unlimited:
            return
        limit = settings.rate_limit_load_test if identity.subject == LOAD_TEST else settings.rate_limit_service
        await self._enforce(connection, f"subject:{identity.subject}", limit)

    async def count_stranger(self, connection: Connection) -> None:
        """Count a request without a valid token, by its address. Raises the 429 beyond the limit."""
        await self._enforce(connection, f"address:{self._address(connection)}", self._settings.rate_limit_stranger)

    async def hit(self, who: str, limit: int) -> Counted | None:
        """Count one event of ``who``; ``None`` when Redis is away or off, or there is no limit (0)."""
        if limit == 0:
            return None
        if self._redis is None:
            self._skipped.inc()
            return None
        key = f"easymo:limit:{self._service}:{blake2b(who.encode(), digest_size=12).hexdigest()}"
        try:
            async with self._breaker.attempt(), asyncio.timeout(2 * TIMEOUT_S):
                count, left_ms = cast(tuple[int, int], await self._script(keys=[key], args=[WINDOW_S * 1000]))
        except (RedisError, OSError, BreakerOpen) as error:
            self._skipped.inc()
            _log.debug("rate_limit_skipped", problem=str(error))
            return None
        return Counted(count, limit, left_ms / 1000)

    async def _enforce(self, connection: Connection, who: str, limit: int) -> None:
        counted = await self.hit(who, limit)
        if counted is None:
            return
        headers = counted.headers()
        if counted.exceeded:
            wait_s = max(1, round(counted.resets_in_s + 0.5))
            raise ServiceError(
                429,
                "rate_limit_exceeded",
                f"More than {limit} requests in {WINDOW_S} s; wait {wait_s} s.",
                {"retry_after_s": wait_s},
                headers={**headers, "retry-after": str(wait_s)},
            )
        cast(dict[str, Any], connection.scope)[HEADERS] = headers

    def _address(self, connection: Connection) -> str:
        """The peer, or behind a proxy that we trust, the last address in X-Forwarded-For that is no such proxy."""
        peer = connection.client.host if connection.client else ""
        forwarded = connection.headers.get("x-forwarded-for", "")
        for address in (peer, *(part.strip() for part in reversed(forwarded.split(",")) if part.strip())):
            try:
                trusted = any(ip_address(address) in network for network in self._proxies)
            except ValueError:
                return peer
            if not trusted:
                return address
        return peer
