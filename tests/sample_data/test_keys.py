"""The keys that a load test asks for, without a database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easymo_platform.sample_data.keys import (
    SCALES,
    call_id,
    live_call_statuses,
    live_calls,
    phone_number,
    recent_calls,
    sizes,
    user_id,
)

numbers = st.integers(min_value=0, max_value=10_000_000)


@given(numbers, numbers)
def test_later_calls_have_larger_ids(i: int, j: int) -> None:
    assert (call_id(i) < call_id(j)) is (i < j)


@given(numbers)
def test_ids_are_version_8(i: int) -> None:
    assert (call_id(i).version, user_id(i).version) == (8, 8)


def test_users_have_distinct_ids_and_numbers_and_no_order() -> None:
    users = range(sizes("production").users)
    assert len({user_id(i) for i in users}) == len({phone_number(i) for i in users}) == len(users)
    assert sorted(users, key=phone_number) != list(users)


@pytest.mark.parametrize("scale", SCALES)
def test_last_day_is_a_ninetieth_of_the_calls(scale: str) -> None:
    calls = sizes(scale).calls
    assert recent_calls(scale) == range(calls - calls // 90, calls)


@pytest.mark.parametrize("scale", SCALES)
def test_three_calls_in_a_thousand_are_live_half_of_them_today(scale: str) -> None:
    live = live_calls(scale)
    assert len(set(live)) == len(live) == pytest.approx(0.003 * sizes(scale).calls, abs=2)
    assert sum(call in recent_calls(scale) for call in live) == len(live) // 2
    assert set(live_call_statuses(scale).values()) == {"pending", "ringing", "active"}


def test_note_is_about_a_third_of_ci() -> None:
    note, ci = sizes("note"), sizes("ci")
    assert note.users == ci.users
    assert [part / whole for part, whole in zip(note[1:], ci[1:], strict=True)] == pytest.approx([0.35] * 3)


def test_unknown_scale_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'huge'.*note, ci, production"):
        sizes("huge")


def test_a_number_is_a_multiple_of_ci_in_everything_but_the_users() -> None:
    assert sizes("0.35") == sizes("note")
    assert sizes("1") == sizes("ci")
    assert sizes("0.1") == (50_000, 40_000, 80_000, 30_000)


@given(st.floats(min_value=0.01, max_value=0.2))
def test_the_smallest_sizes_too_have_live_calls_of_today_and_before(multiple: float) -> None:
    live = live_calls(str(multiple))
    assert len(live) >= 2
    assert sum(call in recent_calls(str(multiple)) for call in live) == len(live) // 2


@pytest.mark.parametrize("scale", ["0.001", "-1", "0", "nan", "inf", "21"])
def test_a_size_that_was_never_tried_is_refused(scale: str) -> None:
    with pytest.raises(ValueError, match=r"a multiple of ci from 0.01 to 20"):
        sizes(scale)
