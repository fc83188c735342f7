"""What each index brings and costs, from a file that `easymo indexes verify --json` wrote."""

from pathlib import Path

import msgspec
from msgspec import Struct

from easymo.proof.errors import ProofError


class Timing(Struct, frozen=True):
    """Median milliseconds of a query."""

    p50_ms: float


class Served(Struct, frozen=True):
    """One query that an index serves, timed with the index and without it (None: not timed)."""

    query: str
    with_index: Timing | None = None
    without_index: Timing | None = None


class CheckedIndex(Struct, frozen=True):
    """One index: the queries it serves; what one more row costs for it; whose updates it makes dearer."""

    index: str
    serves: list[Served] = []
    write_us_per_row: float | None = None
    ends_hot_for: list[str] = []


class IndexCheck(Struct, frozen=True):
    """The part of the file that the report shows."""

    indexes: list[CheckedIndex]


def read_index_check(path: Path) -> IndexCheck:
    """Read the file; raises :class:`ProofError` when it is not what `easymo indexes verify --json` writes."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=IndexCheck)
    except (OSError, msgspec.DecodeError) as error:
        raise ProofError(
            f"{path.name} cannot be read as the output of `easymo indexes verify --json`: {error}."
            " Write it again, or take index_check out of acceptance.toml."
        ) from error
