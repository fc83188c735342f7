"""Voice calls, and for the calls of the last day what was said and consented to."""

from collections.abc import Iterator
from datetime import datetime
from random import Random

from easymo_platform.sample_data.arrivals import arrivals
from easymo_platform.sample_data.keys import live_call_statuses, recent_calls, sequence_id, sizes
from easymo_platform.sample_data.table import SECOND_US, People, Row, Table

_BRIDGE = "sip:bridge@sip.easymo"
_ENDED_STATUSES = {"completed": 85.3, "no_answer": 5, "failed": 5, "busy": 4, "canceled": 0.7}
_PROFILES = {"general_agent": 70, "farmer_agent": 30}
_SENTENCES = (
    "Hello, this is EasyMO, how can I help you today?",
    "I would like to know the price of maize at the market in Musanze.",
    "There are three buyers within ten kilometres, shall I connect you?",
    "Yes, please, I can deliver two hundred kilograms on Friday.",
    "I have noted that, you will receive a message with the details.",
    "Thank you, goodbye.",
)
_COLUMNS = (
    *("id", "user_id", "provider", "provider_call_sid", "direction", "from_number", "to_number", "status"),
    *("agent_profile", "channel", "consent_required", "consent_obtained", "started_at", "answered_at", "ended_at"),
    *("duration_seconds", "transcript_status", "created_at", "updated_at"),
)


def voice(scale: str, people: People, now: datetime, random: Random) -> Iterator[Table]:
    """voice_calls, then voice_segments and call_consents of the completed calls of the last day."""
    count = sizes(scale).calls
    created = arrivals(count, now, random)
    statuses = random.choices(list(_ENDED_STATUSES), list(_ENDED_STATUSES.values()), k=count)
    for number, status in live_call_statuses(scale).items():
        statuses[number] = status
    profiles = random.choices(list(_PROFILES), list(_PROFILES.values()), k=count)
    yield Table("voice_calls", _COLUMNS, _calls(people, created, statuses, profiles, random))

    transcribed = [i for i in recent_calls(scale) if statuses[i] == "completed"]
    yield Table(
        "voice_segments",
        ("id", "call_id", "sequence", "speaker", "text", "confidence", "created_at"),
        _segments(transcribed, created, random),
    )
    asked = [i for i in transcribed if profiles[i] == "farmer_agent"]
    yield Table(
        "call_consents",
        ("id", "call_id", "consent_text", "consent_result", "recorded_at", "created_at"),
        _consents(asked, created),
    )


def _calls(
    people: People, created: list[int], statuses: list[str], profiles: list[str], random: Random
) -> Iterator[Row]:
    count = len(created)
    ranks = people.ranks(count, random)
    durations = random.choices([1 + int(random.expovariate(1 / 140)) for _ in range(2000)], k=count)
    outbound = random.choices((True, False), (70, 30), k=count)
    columns = zip(range(count), ranks, outbound, statuses, profiles, created, durations, strict=True)
    for i, rank, is_outbound, status, profile, start, seconds in columns:
        call_id = sequence_id("call", i)
        number = people.numbers[rank]
        consent = profile == "farmer_agent"
        answered = ended = duration = transcript = None
        if status == "completed":
            answered = start + 8 * SECOND_US
            ended, duration, transcript = answered + seconds * SECOND_US, seconds, "ready"
        elif status == "active":
            answered = start + 8 * SECOND_US
        elif status not in ("pending", "ringing"):
            ended = start + 25 * SECOND_US
        yield (
            *(call_id, people.ids[rank], "twilio", f"CA{call_id[::-1].hex()}"),
            *(("outbound", _BRIDGE, number) if is_outbound else ("inbound", number, _BRIDGE)),
            *(status, profile, "sip", consent, consent and answered is not None),
            *(None if status == "pending" else start, answered, ended, duration, transcript),
            *(start, ended or start),
        )


def _segments(calls: list[int], created: list[int], random: Random) -> Iterator[Row]:
    for i in calls:
        for sequence in range(random.choice((5, 6, 8, 12))):
            yield (
                sequence_id("segment", i * 100 + sequence),
                sequence_id("call", i),
                sequence,
                "caller" if sequence % 2 else "assistant",
                random.choice(_SENTENCES),
                0.9,
                created[i] + (10 + 6 * sequence) * SECOND_US,
            )


def _consents(calls: list[int], created: list[int]) -> Iterator[Row]:
    for i in calls:
        at = created[i] + 12 * SECOND_US
        yield sequence_id("consent", i), sequence_id("call", i), "This call may be recorded.", True, at, at
