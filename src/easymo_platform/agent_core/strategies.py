"""What agent-core caches: sessions, dropped by everything that changes one."""

from datetime import timedelta

from easymo.cache import Strategy


class AgentStrategies:
    """The strategies of agent-core."""

    agent_session = Strategy(
        name="agent_session",
        key="agent_session:{session_id}",
        ttl=timedelta(minutes=30),
        invalidated_by=("agent_session.changed",),
    )
