"""The sample data are what the platform's facts say: skewed, diurnal, with the statuses in their shares."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from easymo_platform.sample_data.arrivals import HOURLY, KIGALI_UTC_OFFSET, arrivals, microseconds
from easymo_platform.sample_data.keys import (
    call_id,
    live_call_statuses,
    phone_number,
    recent_calls,
    sizes,
    user_id,
)
from easymo_platform.sample_data.load import tables
from tests.sample_data.conftest import NOW, Columns

DAY_US = 86_400_000_000
Rows = dict[str, Columns]


def share(values: list[object], of: set[object]) -> float:
    return sum(value in of for value in values) / len(values)


def test_same_seed_gives_the_same_rows_and_another_seed_gives_others(rows: Rows) -> None:
    again = {table.name: next(iter(table.rows)) for table in tables("note", 1, NOW)}
    assert again == {name: tuple(column[0] for column in columns.values()) for name, columns in rows.items()}
    other = next(iter(tables("note", 2, NOW)))
    assert next(iter(other.rows)) != again["users"]


def test_tables_have_their_sizes(rows: Rows) -> None:
    large = [len(rows[name]["id"]) for name in ("users", "voice_calls", "whatsapp_messages", "transactions")]
    assert large == list(sizes("note"))


@pytest.mark.parametrize("table", ["voice_calls", "whatsapp_messages", "transactions"])
def test_busiest_hundredth_of_the_users_has_ten_to_twenty_percent_of_the_rows(rows: Rows, table: str) -> None:
    users = sizes("note").users
    by_user = Counter(rows[table]["user_id"])
    busiest = [count for user, count in by_user.most_common(users // 100 + 1) if user is not None]
    assert 0.10 <= sum(busiest) / len(rows[table]["user_id"]) <= 0.20


def test_activity_falls_with_rank(rows: Rows) -> None:
    by_user = Counter(rows["voice_calls"]["user_id"])
    assert by_user[user_id(0).bytes] > 10 * by_user[user_id(1_000).bytes] > 0


@pytest.mark.parametrize("table", ["voice_calls", "whatsapp_messages", "transactions"])
def test_rows_ascend_over_ninety_equal_days_that_end_now(rows: Rows, table: str) -> None:
    created = rows[table]["created_at"]
    end = microseconds(NOW)
    assert created == sorted(created)
    assert end - 90 * DAY_US <= created[0] < created[-1] <= end
    per_day = Counter((end - at) // DAY_US for at in created)
    assert max(per_day.values()) - min(per_day.values()) <= 2


def test_arrivals_follow_the_day_in_kigali(rows: Rows) -> None:
    offset = KIGALI_UTC_OFFSET // timedelta(microseconds=1)
    hours = Counter((at + offset) % DAY_US // 3_600_000_000 for at in rows["whatsapp_messages"]["created_at"])
    mean = len(rows["whatsapp_messages"]["created_at"]) / 24
    assert [hours[hour] / mean for hour in range(24)] == pytest.approx(HOURLY, abs=0.03)
    assert max(HOURLY) == 3.0
    assert sum(hours[hour] for hour in range(7, 20)) > 0.85 * 24 * mean


@pytest.mark.parametrize("clock", ["00:00:00", "07:59:59", "22:00:00", "12:34:56"])
def test_every_row_is_placed_whatever_the_time_of_day(clock: str) -> None:
    now = datetime.fromisoformat(f"2026-03-04T{clock}").replace(tzinfo=UTC)
    assert len(arrivals(9_001, now, Random(0))) == 9_001


def test_calls_carry_the_numbers_that_keys_promises(rows: Rows) -> None:
    calls = rows["voice_calls"]
    assert calls["id"] == [call_id(i).bytes for i in range(len(calls["id"]))]
    day_ago = microseconds(NOW) - DAY_US
    assert all(calls["created_at"][i] > day_ago for i in recent_calls("note"))
    live = {i: status for i, status in enumerate(calls["status"]) if status in ("pending", "ringing", "active")}
    assert live == live_call_statuses("note")


def test_called_numbers_are_those_of_the_users(rows: Rows) -> None:
    outbound = Counter(
        number
        for number, direction in zip(rows["voice_calls"]["to_number"], rows["voice_calls"]["direction"], strict=True)
        if direction == "outbound"
    )
    assert outbound[phone_number(0)] == max(outbound.values())


def test_call_statuses_have_their_shares(rows: Rows) -> None:
    status = rows["voice_calls"]["status"]
    assert share(status, {"completed"}) == pytest.approx(0.85, abs=0.01)
    assert share(status, {"failed", "busy", "no_answer", "canceled"}) == pytest.approx(0.147, abs=0.005)
    assert 0.002 <= share(status, {"pending", "ringing", "active"}) <= 0.005


def test_message_statuses_have_their_shares(rows: Rows) -> None:
    messages = list(zip(rows["whatsapp_messages"]["direction"], rows["whatsapp_messages"]["status"], strict=True))
    inbound = [status for direction, status in messages if direction == "inbound"]
    outbound = [status for direction, status in messages if direction == "outbound"]
    assert share(inbound, {"processed"}) == pytest.approx(0.98, abs=0.005)
    assert share(outbound, {"read"}) == pytest.approx(0.50, abs=0.05)
    assert share(outbound, {"delivered"}) == pytest.approx(0.40, abs=0.03)
    assert share(outbound, {"sent"}) == pytest.approx(0.05, abs=0.005)
    assert share(outbound, {"pending"}) <= 0.011
    assert 0.01 <= share(outbound, {"failed"}) <= 0.022


def test_last_hour_has_pending_and_failed_messages(rows: Rows) -> None:
    messages = rows["whatsapp_messages"]
    hour_ago = microseconds(NOW) - DAY_US // 24
    newest = [s for s, at in zip(messages["status"], messages["created_at"], strict=True) if at > hour_ago]
    assert newest.count("pending") >= 10
    assert newest.count("failed") >= 10


def test_user_and_transaction_statuses_have_their_shares(rows: Rows) -> None:
    assert share(rows["users"]["status"], {"active"}) == pytest.approx(0.90, abs=0.01)
    assert share(rows["users"]["status"], {"inactive"}) == pytest.approx(0.07, abs=0.01)
    assert share(rows["transactions"]["status"], {"completed"}) == pytest.approx(0.92, abs=0.01)
    assert share(rows["transactions"]["status"], {"failed"}) == pytest.approx(0.05, abs=0.005)
    assert share(rows["transactions"]["status"], {"pending"}) == pytest.approx(0.01, abs=0.002)
