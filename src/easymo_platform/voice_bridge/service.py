"""What voice-bridge does, in terms of its store, its analytics and the cache."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

from litestar import Response

from easymo.cache import CacheService, Key
from easymo.cache.litestar import cached_response
from easymo_platform.runtime.errors import ServiceError
from easymo_platform.runtime.routes import AnyRequest
from easymo_platform.voice_bridge.analytics import Analytics
from easymo_platform.voice_bridge.model import (
    Consent,
    LiveCalls,
    OutboundCall,
    PlacedCall,
    Route,
    StatusResult,
    agent_profile_for,
    consent_required_by,
)
from easymo_platform.voice_bridge.settings import VoiceSettings
from easymo_platform.voice_bridge.store import CallStore, Moved
from easymo_platform.voice_bridge.twilio import is_signed


class VoiceBridge:
    """One per process; the routes call it."""

    def __init__(self, settings: VoiceSettings, store: CallStore, analytics: Analytics, cache: CacheService) -> None:
        self.store = store
        self.analytics = analytics
        self._settings = settings
        self._cache = cache

    async def place_call(self, wanted: OutboundCall, call_id: UUID) -> PlacedCall:
        """Create a pending call; with an id that was used before, return the call it created.

        Raises the 409 when the id was used for a different call, or the person wants no calls.
        """
        profile = agent_profile_for(wanted.topic, wanted.to)
        columns = {
            # The simulated provider accepts every call; its sid lets anyone play Twilio's callbacks.
            "provider_call_sid": f"SIM{call_id.hex}",
            "from_number": wanted.from_,
            "to_number": wanted.to,
            "agent_profile": profile,
            "topic": wanted.topic,
            "consent_required": consent_required_by(profile),
            "metadata": wanted.metadata,
        }
        earlier = await self.store.create(call_id, columns)
        if earlier is not None and any(getattr(earlier, name) != value for name, value in columns.items()):
            raise ServiceError(409, "idempotency_key_reused", "This Idempotency-Key was used for a different call.")
        route = Route(profile, self._settings.sip_target(profile), consent_required_by(profile))
        return PlacedCall(call_id, route, Consent(route.consent_required))

    async def change_status(self, call_id: UUID, status: str) -> StatusResult:
        """Move a call; raises the 409 for an illegal move and the 404 for an unknown call."""
        moved = await self.store.change_status(call_id, status)
        if moved is Moved.ILLEGAL:
            raise ServiceError(409, "illegal_transition", f"A call cannot become {status} from where it stands.")
        return StatusResult(call_id, status, moved is Moved.YES)

    def check_twilio(self, path: str, form: list[tuple[str, str]], signature: str) -> None:
        """Raises the 403 unless Twilio has signed this form for our public address."""
        settings = self._settings
        url = settings.voice_public_url.rstrip("/") + path
        if not settings.auth_disabled and not is_signed(settings.twilio_auth_token, url, form, signature):
            raise ServiceError(403, "bad_signature", "X-Twilio-Signature is not Twilio's signature of this callback.")

    async def cached(self, request: AnyRequest, key: Key, load: Callable[[], Awaitable[object]]) -> Response[bytes]:
        """What ``load`` returns, as JSON: from the cache undecoded when it is there."""
        return await cached_response(self._cache, key, load, request)

    async def live_calls(self, limit: int) -> LiveCalls:
        """The newest live calls, and when they were looked up."""
        return LiveCalls(await self.store.live(limit), datetime.now(UTC))

    async def active_calls(self, limit: int) -> LiveCalls:
        """The same for active calls of the last 24 hours."""
        return LiveCalls(await self.store.active(limit), datetime.now(UTC))
