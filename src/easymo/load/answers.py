"""What was answered to the requests of one name: enough to see whether two systems answer alike."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

#: Redirects to more places than this are counted together, under `OTHER`: an identifier in a path makes each its own.
MOST_PLACES = 32
OTHER = "(other)"
_EXACT_BITS = 7
_MOST_KEPT = 1000
_Key = TypeVar("_Key", int, str)


class Answers(msgspec.Struct, frozen=True):
    """The answers to the counted requests of one name; requests without an answer are not in here.

    `statuses` counts the answers by HTTP status. `redirects` counts those with a `Location` by the path they lead to
    (`/login`), and `sizes` the *pages*, those that are neither errors nor redirects, by the size of their body in bytes
    as sent. Sizes from 128 on are rounded down by less than 1.6 %, so that there are few different ones. `body_bytes`
    is the sum of all bodies, not rounded. `wrong` counts the answers that the request's own check
    refused, by the reason.
    """

    statuses: dict[int, int]
    redirects: dict[str, int]
    sizes: dict[int, int]
    body_bytes: int
    wrong: dict[str, int] = {}


class AnswerCounts:
    """Counts answers as they come; `answers()` is what they amount to."""

    def __init__(self) -> None:
        self.statuses, self.sizes = Counter[int](), Counter[int]()
        self.redirects, self.wrong = Counter[str](), Counter[str]()
        self.body_bytes = 0

    def count(self, status: int, body_bytes: int, times: int, *, page: bool) -> None:
        """So many answers of this status with a body of this size; pages are neither errors nor redirects."""
        self.statuses[status] += times
        self.body_bytes += body_bytes * times
        if page:
            self.sizes[rounded_size(body_bytes)] += times

    def redirect(self, location: bytes) -> None:
        """An answer with this `Location`."""
        place = urlsplit(location.decode("latin-1")).path or "/"
        self.redirects[place if place in self.redirects or len(self.redirects) < _MOST_KEPT else OTHER] += 1

    def answers(self) -> Answers:
        return Answers(
            statuses=dict(sorted(self.statuses.items())),
            redirects=_few(self.redirects),
            sizes=dict(sorted(self.sizes.items())),
            body_bytes=self.body_bytes,
            wrong=_few(self.wrong),
        )


def rounded_size(size: int) -> int:
    """The size in bytes with which a body of `size` bytes is counted."""
    shift = size.bit_length() - _EXACT_BITS
    return size >> shift << shift if shift > 0 else size


def add_answers(parts: Sequence[Answers]) -> Answers:
    """The answers of all `parts` together."""
    return Answers(
        statuses=_sum(part.statuses for part in parts),
        redirects=_few(_sum(part.redirects for part in parts)),
        sizes=_sum(part.sizes for part in parts),
        body_bytes=sum(part.body_bytes for part in parts),
        wrong=_few(_sum(part.wrong for part in parts)),
    )


def _few(counts: Mapping[str, int]) -> dict[str, int]:
    ranked = sorted(counts.items(), key=lambda item: (item[0] == OTHER, -item[1], item[0]))
    few = dict(ranked[:MOST_PLACES])
    if rest := sum(count for _, count in ranked[MOST_PLACES:]):
        few[OTHER] = few.get(OTHER, 0) + rest
    return few


def _sum(parts: Iterable[Mapping[_Key, int]]) -> dict[_Key, int]:
    total = Counter[_Key]()
    for part in parts:
        total.update(part)
    return dict(sorted(total.items()))
