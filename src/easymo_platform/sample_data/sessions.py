"""Agent sessions and what was said in them."""

from collections.abc import Iterator
from datetime import datetime
from random import Random

from easymo_platform.sample_data.arrivals import arrivals
from easymo_platform.sample_data.keys import sequence_id
from easymo_platform.sample_data.table import SECOND_US, People, Row, Table

_STATUSES = {"completed": 62, "timeout": 20, "cancelled": 15, "error": 2}
_LIVE_STATUSES = ("searching", "negotiating", "presenting")
_LIVE_SHARE = 0.01
_WINDOW_US = 300 * SECOND_US
_FLOWS = ("nearby_drivers", "pharmacy", "shops", "property_rental", "job_board", "marketplace", "schedule_trip")
_KINDS = ("broker", "support", "sales", "mobility")
_TURNS = (
    ("user", "I need a driver to Nyabugogo."),
    ("agent", "Looking for drivers near you, one moment."),
    ("agent", "Three drivers answered, the nearest asks 1 200 RWF."),
    ("user", "The first one, please."),
)
_SESSION_COLUMNS = (
    *("id", "user_id", "flow_type", "agent_kind", "status", "deadline_at", "completed_at", "created_at", "updated_at"),
)


def sessions(count: int, people: People, now: datetime, random: Random) -> Iterator[Table]:
    """agent_sessions, the newest 1 % of them live, and four agent_messages each."""
    created = arrivals(count, now, random)
    statuses = random.choices(list(_STATUSES), list(_STATUSES.values()), k=count)
    for i in range(count - int(count * _LIVE_SHARE), count):
        statuses[i] = _LIVE_STATUSES[i % len(_LIVE_STATUSES)]
    user_ids = people.user_ids(count, random)
    rows = (
        (
            *(sequence_id("session", i), user_ids[i], random.choice(_FLOWS), random.choice(_KINDS)),
            *(statuses[i], at + _WINDOW_US, at + 200 * SECOND_US if statuses[i] == "completed" else None, at, at),
        )
        for i, at in enumerate(created)
    )
    yield Table("agent_sessions", _SESSION_COLUMNS, rows)
    yield Table("agent_messages", ("id", "session_id", "role", "content", "created_at"), _turns(created))


def _turns(created: list[int]) -> Iterator[Row]:
    for i, start in enumerate(created):
        for turn, (role, content) in enumerate(_TURNS):
            message = sequence_id("turn", i * len(_TURNS) + turn)
            yield message, sequence_id("session", i), role, content, start + (1 + 20 * turn) * SECOND_US
