"""What the platform caches, for how long, and which event ends it: the performance note's table, and live calls.

Every ttl of the platform stands here or in a service's own ``strategies.py``, none at a call site. ``invalidated_by``
names the events that drop a value before its ttl; a strategy without events shows a state of up to ``ttl`` ago.
"""

from datetime import timedelta

from easymo.cache import Strategy


class CacheStrategies:
    """Shared by all services, so that one may drop what another has cached."""

    user = Strategy(
        name="user",
        key="user:{user_id}",
        ttl=timedelta(hours=1),
        tags=("user:{user_id}",),
        invalidated_by=("user.updated", "user.suspended"),
    )
    voice_call = Strategy(
        name="voice_call",
        key="voice_call:{call_id}",
        ttl=timedelta(minutes=1),
        invalidated_by=(
            "voice_call.created",
            "voice_call.status_changed",
            "voice_call.consent_recorded",
            "voice_call.transcribed",
        ),
    )
    whatsapp_message = Strategy(
        name="whatsapp_message",
        key="whatsapp_message:{message_id}",
        ttl=timedelta(hours=24),
        invalidated_by=("whatsapp_message.status_changed",),
    )
    analytics = Strategy(name="analytics", key="analytics:{report}:{scope}", ttl=timedelta(minutes=5))
    agent_session = Strategy(
        name="agent_session",
        key="agent_session:{session_id}",
        ttl=timedelta(minutes=30),
        invalidated_by=("agent_session.changed",),
    )
    health_check = Strategy(name="health_check", key="health:{service}:{instance}", ttl=timedelta(seconds=10))
    live_calls = Strategy(
        name="live_calls",
        key="live-calls:{limit}",
        ttl=timedelta(seconds=10),
        tags=("live-calls",),
        invalidated_by=("voice_call.created", "voice_call.status_changed", "voice_call.consent_recorded"),
    )
