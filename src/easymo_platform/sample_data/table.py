"""What one COPY sends, and the people whose activity skews every table.

Half a million rows have to be made in a few seconds: columns are drawn at once and joined by `zip`; an id is the 16
bytes of a uuid and a time is microseconds since 2000-01-01, which is what COPY sends, without an object between.
"""

from collections.abc import Iterable
from random import Random
from typing import Any, NamedTuple

from easymo_platform.sample_data.keys import phone_number, user_id_bytes

Row = tuple[Any, ...]

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US

# rank = people * u ** 2.5 with u uniform: the busiest share p has p ** (1 / 2.5) of the rows, the busiest 1 % has 16 %.
ACTIVITY_EXPONENT = 2.5


class Table(NamedTuple):
    """Columns and rows of one COPY; columns that are not named keep their default."""

    name: str
    columns: tuple[str, ...]
    rows: Iterable[Row]


class People(NamedTuple):
    """By rank of activity: the id (None for strangers, who call or write without being users) and the number."""

    ids: list[bytes | None]
    numbers: list[str]

    def ranks(self, count: int, random: Random) -> list[int]:
        """Who is behind each of `count` rows, strangers included."""
        return _ranks(len(self.ids), count, random)

    def user_ids(self, count: int, random: Random) -> list[bytes | None]:
        """The user behind each of `count` rows."""
        return [self.ids[rank] for rank in _ranks(self.ids.index(None), count, random)]


def people(users: int) -> People:
    """All users and one stranger for every twenty of them; the strangers are the least active."""
    strangers = users // 20
    ids: list[bytes | None] = [user_id_bytes(rank) for rank in range(users)]
    return People([*ids, *[None] * strangers], [phone_number(rank) for rank in range(users + strangers)])


def _ranks(people: int, count: int, random: Random) -> list[int]:
    draw = random.random
    return [int(people * draw() ** ACTIVITY_EXPONENT) for _ in range(count)]
