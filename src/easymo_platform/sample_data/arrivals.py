"""When rows arrive: ninety equal days that end now, each with the shape of a Kigali business day."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from random import Random

from easymo_platform.sample_data.keys import DAYS

KIGALI_UTC_OFFSET = timedelta(hours=2)
# Arrivals per hour of the day in Kigali, as a multiple of the mean: busy from 7 to 20 h, three times the mean at 10 h.
HOURLY = (
    *(0.25,) * 7,
    *(0.8, 1.4, 2.1, 3.0, 2.7, 1.8, 1.4, 1.6, 1.8, 1.9, 1.4, 0.85, 0.5),
    *(0.25,) * 4,
)

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DAY_US = 86_400_000_000
_HOUR_US = 3_600_000_000


def microseconds(moment: datetime) -> int:
    """Microseconds since 2000-01-01 UTC, which is how Postgres stores a timestamptz."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def arrivals(count: int, now: datetime, random: Random) -> list[int]:
    """`count` ascending arrival times in the 90 days before `now`, in `microseconds`; every day gets the same share."""
    end_us = microseconds(now)
    slots = _day_slots((end_us + KIGALI_UTC_OFFSET // timedelta(microseconds=1)) % _DAY_US)
    times: list[int] = []
    for day in range(DAYS):
        first, last = count * day // DAYS, count * (day + 1) // DAYS
        day_start_us = end_us - (DAYS - day) * _DAY_US
        done = 0
        for start_us, length_us, share in slots:
            until = round((last - first) * share)
            step_us = length_us / max(1, until - done)
            slot_us = day_start_us + start_us
            times += [int(slot_us + (k + random.random()) * step_us) for k in range(until - done)]
            done = until
    return times


def _day_slots(clock_us: int) -> list[tuple[int, int, float]]:
    """The 24 hours that follow a time of day: (start, length, share of the day's arrivals up to the end) per slot."""
    hour, into_us = divmod(clock_us, _HOUR_US)
    edges = [0, *range(_HOUR_US - into_us, _DAY_US, _HOUR_US), _DAY_US]
    lengths = [end - start for start, end in pairwise(edges)]
    weights = [HOURLY[(hour + k) % 24] * length for k, length in enumerate(lengths)]
    total = sum(weights)
    return [
        (start, length, upto / total) for start, length, upto in zip(edges, lengths, accumulate(weights), strict=False)
    ]
