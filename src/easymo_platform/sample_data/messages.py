"""WhatsApp messages, and the few that ended as dead letters."""

from collections.abc import Iterator
from datetime import datetime
from random import Random

from easymo_platform.sample_data.arrivals import arrivals
from easymo_platform.sample_data.keys import phone_number, sequence_id
from easymo_platform.sample_data.table import SECOND_US, People, Row, Table

_BUSINESS_NUMBER = "+250700000999"
_BUSINESS_NUMBER_ID = "104857600000999"
_INBOUND_STATUSES = {"processed": 98, "skipped": 1.2, "failed": 0.8}
_OUTBOUND_STATUSES = {"read": 50, "delivered": 41.5, "sent": 5, "accepted": 0.5, "failed": 2, "pending": 1}
_NEWEST_UNSENT = 40  # of the newest messages every fourth is pending and every fourth failed: the last hour has work
_BODIES = (
    "Muraho, I am looking for a moto from Kimironko to Nyabugogo.",
    "Your driver Jean is three minutes away. Reply 1 to confirm, 2 to cancel.",
    "How much is paracetamol 500 mg at the nearest pharmacy?",
    "We found 4 offers: 1) 1 200 RWF 2) 1 350 RWF 3) 1 400 RWF 4) 1 500 RWF",
    "1",
    "Menu",
    "Thank you!",
    "Your payment of 5 000 RWF was received. Reference follows in the next message.",
)
_COLUMNS = (
    *("id", "wamid", "user_id", "direction", "from_number", "to_number", "phone_number_id", "message_type", "body"),
    *("status", "error_code", "attempts", "provider_ts", "sent_at", "delivered_at", "read_at", "failed_at"),
    *("created_at", "updated_at"),
)


def messages(count: int, people: People, now: datetime, random: Random) -> Table:
    """Half of the messages come in, half go out."""
    created = arrivals(count, now, random)
    outbound = random.choices((False, True), k=count)
    incoming = random.choices(list(_INBOUND_STATUSES), list(_INBOUND_STATUSES.values()), k=count)
    outgoing = random.choices(list(_OUTBOUND_STATUSES), list(_OUTBOUND_STATUSES.values()), k=count)
    statuses = [o if is_out else i for is_out, i, o in zip(outbound, incoming, outgoing, strict=True)]
    for back in range(0, min(count, _NEWEST_UNSENT), 4):
        statuses[-1 - back] = "pending"
        statuses[-3 - back] = "failed"
    return Table("whatsapp_messages", _COLUMNS, _messages(people, created, outbound, statuses, random))


def _messages(
    people: People, created: list[int], outbound: list[bool], statuses: list[str], random: Random
) -> Iterator[Row]:
    count = len(created)
    bodies = random.choices(_BODIES, k=count)
    columns = zip(range(count), people.ranks(count, random), outbound, statuses, bodies, created, strict=True)
    for i, rank, is_outbound, status, body, at in columns:
        message_id = sequence_id("message", i)
        number = people.numbers[rank]
        failed = status == "failed"
        sent = delivered = read = None
        if is_outbound and status in ("sent", "delivered", "read"):
            sent = at + SECOND_US
            if status != "sent":
                delivered = at + 3 * SECOND_US
                if status == "read":
                    read = at + 60 * SECOND_US
        yield (
            *(message_id, f"wamid.{message_id[::-1].hex()}", people.ids[rank]),
            *(("outbound", _BUSINESS_NUMBER, number) if is_outbound else ("inbound", number, _BUSINESS_NUMBER)),
            *(_BUSINESS_NUMBER_ID, "text", body, status, 131026 if failed else None, 3 if failed else 1),
            *(None if is_outbound else at, sent, delivered, read, at + 5 * SECOND_US if failed else None),
            *(at, read or delivered or sent or at),
        )


def dead_letters(count: int, now: datetime, random: Random) -> Table:
    """Messages that no retry helped, a fifth of them still pending."""
    statuses = random.choices(("pending", "reprocessed", "failed", "discarded"), (20, 60, 15, 5), k=count)
    rows = (
        (
            *(sequence_id("dead letter", i), f"wamid.dead{i:08d}", phone_number(i), "{}", "agent-core timed out"),
            *("timeout", 3, status, created),
        )
        for i, (status, created) in enumerate(zip(statuses, arrivals(count, now, random), strict=True))
    )
    columns = ("id", "wamid", "phone_number", "payload", "error", "error_type", "attempts", "status", "created_at")
    return Table("webhook_dlq", columns, rows)
