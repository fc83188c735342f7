"""Users and their transactions."""

from datetime import datetime
from decimal import Decimal
from random import Random

from easymo_platform.sample_data.arrivals import arrivals, microseconds
from easymo_platform.sample_data.keys import DAYS, sequence_id
from easymo_platform.sample_data.table import DAY_US, SECOND_US, People, Table

_USER_STATUSES = {"active": 90, "inactive": 7, "suspended": 3}
_TRANSACTION_STATUSES = {"completed": 92, "failed": 5, "pending": 1, "processing": 0.5, "cancelled": 1, "reversed": 0.5}
_TYPES = {"payment": 50, "transfer": 15, "credit": 12, "debit": 10, "fee": 8, "commission": 3, "refund": 2}
_DESCRIPTIONS = (
    "Ride fare",
    "Pharmacy order",
    "Airtime",
    "Rent deposit",
    "Market order",
    "Driver payout",
    "Delivery fee",
)


def users(count: int, people: People, now: datetime, random: Random) -> Table:
    """Users in the order in which they signed up, which has nothing to do with how active they are."""
    signed_up = list(range(count))
    random.shuffle(signed_up)
    # The last user signed up before the first call of the window.
    first_us, span_us = microseconds(now) - (DAYS + 700) * DAY_US, 700 * DAY_US
    created = [first_us + k * span_us // count for k in range(count)]
    rows = zip(
        [people.ids[rank] for rank in signed_up],
        [people.numbers[rank] for rank in signed_up],
        [f"User {rank:06d}" for rank in signed_up],
        random.choices(("rw", "en", "fr", "sw"), (55, 25, 10, 10), k=count),
        random.choices(list(_USER_STATUSES), list(_USER_STATUSES.values()), k=count),
        created,
        created,
        strict=True,
    )
    columns = ("id", "phone_number", "display_name", "locale", "status", "created_at", "updated_at")
    return Table("users", columns, rows)


def transactions(count: int, people: People, now: datetime, random: Random) -> Table:
    """Transactions of users; amounts are whole francs, log-normal around 5 000."""
    created = arrivals(count, now, random)
    statuses = random.choices(list(_TRANSACTION_STATUSES), list(_TRANSACTION_STATUSES.values()), k=count)
    completed = [
        t + 4 * SECOND_US if status == "completed" else None for t, status in zip(created, statuses, strict=True)
    ]
    amounts = [Decimal(100 + round(random.lognormvariate(8.5, 1.1))) for _ in range(2000)]
    rows = zip(
        [sequence_id("transaction", i) for i in range(count)],
        [f"TXN-{i:012d}" for i in range(count)],
        people.user_ids(count, random),
        random.choices(list(_TYPES), list(_TYPES.values()), k=count),
        random.choices(amounts, k=count),
        statuses,
        random.choices(_DESCRIPTIONS, k=count),
        completed,
        created,
        [t or start for t, start in zip(completed, created, strict=True)],
        strict=True,
    )
    columns = ("id", "transaction_ref", "user_id", "type", "amount", "status", "description", "completed_at")
    return Table("transactions", (*columns, "created_at", "updated_at"), rows)
