"""Which users, numbers and calls the sample data holds: pure arithmetic, so that a load test needs no database to ask.

Nothing here depends on the seed: the seed decides who talks to whom and when, never which keys exist.
"""

import math
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

DAYS = 90

# Rwandan format; operators there use 72, 73, 78 and 79, so that these numbers are nobody's.
_NUMBER_PREFIX = "+25070"
_NUMBER_SPACE = 10_000_000
_NUMBER_STEP = 7_368_787  # coprime to the space: ranks map to numbers one to one and in no visible order

_LIVE_SHARE = 0.003
_LIVE_STATUSES = ("active", "pending", "active", "ringing")


class Sizes(NamedTuple):
    """Rows per large table."""

    users: int
    calls: int
    messages: int
    transactions: int


_SIZES = {
    "note": Sizes(users=50_000, calls=140_000, messages=280_000, transactions=105_000),
    "ci": Sizes(users=50_000, calls=400_000, messages=800_000, transactions=300_000),
    "production": Sizes(users=100_000, calls=1_000_000, messages=5_000_000, transactions=1_000_000),
}
SCALES = tuple(_SIZES)
_SMALLEST, _LARGEST = 0.01, 20.0  # below it no call would be live; above it ids and memory were never tried


def sizes(scale: str) -> Sizes:
    """Rows of each large table at a scale: `note`, `ci`, `production`, or a number.

    A number is a multiple of `ci` in everything but the users: "0.35" has the rows of `note`. Raises ValueError for
    anything else.
    """
    if scale in _SIZES:
        return _SIZES[scale]
    try:
        multiple = float(scale)
    except ValueError:
        multiple = math.nan
    if not _SMALLEST <= multiple <= _LARGEST:
        allowed = f"{', '.join(SCALES)}, or a multiple of ci from {_SMALLEST:g} to {_LARGEST:g}"
        raise ValueError(f"unknown scale {scale!r}; the sample data knows {allowed}")
    whole = _SIZES["ci"]
    return Sizes(whole.users, *(round(rows * multiple) for rows in whole[1:]))


def sequence_id(kind: str, i: int) -> bytes:
    """The 16 bytes of row i's id: a UUIDv8 whose first 48 bits are i, so that ids ascend as a time-ordered id would."""
    tail = blake2b(i.to_bytes(6), digest_size=10, person=kind.encode()).digest()
    return i.to_bytes(6) + bytes((0x80 | tail[0] & 0x0F, tail[1], 0x80 | tail[2] & 0x3F)) + tail[3:]


def user_id(i: int) -> UUID:
    """Id of the user with activity rank i (0 is the busiest)."""
    return UUID(bytes=user_id_bytes(i))


def user_id_bytes(i: int) -> bytes:
    """The 16 bytes of `user_id(i)`: a UUIDv8 without order, as users did not sign up in the order of their activity."""
    digest = blake2b(i.to_bytes(6), digest_size=16, person=b"user").digest()
    return digest[:6] + bytes((0x80 | digest[6] & 0x0F, digest[7], 0x80 | digest[8] & 0x3F)) + digest[9:]


def phone_number(i: int) -> str:
    """E.164 number of the user with activity rank i."""
    return f"{_NUMBER_PREFIX}{i * _NUMBER_STEP % _NUMBER_SPACE:07d}"


def call_id(i: int) -> UUID:
    """Id of call i; calls are numbered by `created_at`, the newest is `sizes(scale).calls - 1`."""
    return UUID(bytes=sequence_id("call", i))


def recent_calls(scale: str) -> range:
    """Numbers of the calls that began in the 24 hours before the data were loaded, oldest first."""
    calls = sizes(scale).calls
    return range(calls - calls // DAYS, calls)


def live_calls(scale: str) -> list[int]:
    """Numbers of the calls loaded as pending, ringing or active, newest first: half of them in the last 24 hours."""
    return list(live_call_statuses(scale))


def live_call_statuses(scale: str) -> dict[int, str]:
    """Call number to status of every live call, newest first; the older half are calls whose end was never reported."""
    half = int(sizes(scale).calls * _LIVE_SHARE) // 2
    recent = recent_calls(scale)
    numbers = [*_spread(half, recent), *_spread(half, range(recent.start))]
    return {number: _LIVE_STATUSES[k % len(_LIVE_STATUSES)] for k, number in enumerate(numbers)}


def _spread(count: int, numbers: range) -> Iterator[int]:
    """`count` of the numbers at even distances, from the last one down."""
    return (numbers[-1 - k * len(numbers) // count] for k in range(count))
