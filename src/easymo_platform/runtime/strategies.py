"""What every service caches: its own health. The strategies of a service stand in its own `strategies.py`.

No ttl stands at a call site. `invalidated_by` names the events that drop a value before its ttl; without events a
value may be up to `ttl` old.
"""

from datetime import timedelta

from easymo.cache import Strategy


class RuntimeStrategies:
    """Those of every service."""

    health_check = Strategy(name="health_check", key="health:{service}:{instance}", ttl=timedelta(seconds=10))
