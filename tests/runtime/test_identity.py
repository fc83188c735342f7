"""Ids that sort by time."""

import time
from uuid import RFC_4122

from easymo_platform.runtime.identity import uuid7


def test_id_is_a_uuid_of_version_7_with_the_present_in_front() -> None:
    before_ms = time.time_ns() // 1_000_000
    identity = uuid7()
    after_ms = time.time_ns() // 1_000_000
    assert (identity.version, identity.variant) == (7, RFC_4122)
    assert before_ms <= identity.int >> 80 <= after_ms


def test_ids_of_one_millisecond_differ() -> None:
    assert len({uuid7() for _ in range(1000)}) == 1000
