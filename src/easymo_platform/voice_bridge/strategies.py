"""What voice-bridge caches, and the one place that drops it when a call changes.

Every writer of calls drops what it changed, so a call and its lists live for an hour; the note said a minute. The
live list keeps the note's ttl of 10 seconds, since it also ages by itself.

A user's transactions are not cached: they are written by systems that tell us nothing, and a balance must be true.
"""

from datetime import timedelta
from hashlib import blake2b
from uuid import UUID

from easymo.cache import CacheService, Strategy
from easymo.cache.commit import Later
from easymo_platform.voice_bridge.model import ChangedCall

_CALL_EVENTS = ("voice_call.created", "voice_call.status_changed", "voice_call.consent_recorded")


class VoiceStrategies:
    """The strategies of voice-bridge."""

    voice_call = Strategy(
        name="voice_call",
        key="voice_call:{call_id}",
        ttl=timedelta(hours=1),
        invalidated_by=(*_CALL_EVENTS, "voice_call.transcribed"),
    )
    live_calls = Strategy(
        name="live_calls",
        key="live-calls:{limit}",
        ttl=timedelta(seconds=10),
        tags=("live-calls",),
        invalidated_by=_CALL_EVENTS,
    )
    active_calls = Strategy(
        name="active_calls",
        key="active-calls:{limit}",
        ttl=timedelta(seconds=10),
        tags=("live-calls",),
        invalidated_by=_CALL_EVENTS,
    )
    calls_of_user = Strategy(
        name="calls_of_user", key="user-calls:{user_id}", ttl=timedelta(hours=1), invalidated_by=_CALL_EVENTS
    )
    calls_to_number = Strategy(
        name="calls_to_number", key="number-calls:{number}", ttl=timedelta(hours=1), invalidated_by=_CALL_EVENTS
    )
    analytics = Strategy(name="analytics", key="analytics:{report}:{scope}", ttl=timedelta(minutes=5))


def in_a_key(number: str) -> str:
    """``number`` as it may stand in a cache key: a digest, since keys end up in logs and in redis-cli's output."""
    return blake2b(number.encode(), digest_size=12).hexdigest()


def drop_cached(later: Later, call: ChangedCall) -> None:
    """Drop, once the transaction has committed, every cached value that shows ``call``."""
    later.delete(
        VoiceStrategies.voice_call(call_id=call.id), VoiceStrategies.calls_to_number(number=in_a_key(call.to_number))
    )
    if call.user_id is not None:
        later.delete(VoiceStrategies.calls_of_user(user_id=call.user_id))
    later.invalidate_tag("live-calls")


async def drop_all_lists(cache: CacheService, call_id: UUID) -> None:
    """Drop the call and every list that could show it."""
    await cache.delete(VoiceStrategies.voice_call(call_id=call_id))
    await cache.invalidate_tag("live-calls")
    for strategy in (VoiceStrategies.calls_of_user, VoiceStrategies.calls_to_number):
        await cache.invalidate_pattern(strategy.pattern())
