"""The theory that the load benchmark compares with, and what it reads from the other tools."""

import pytest

from benchmarks import load, load_tools

MS = 1_000_000


def test_the_theory_of_a_server_that_stands_still_is_that_of_arrivals_at_any_moment() -> None:
    account = {
        "first_ns": 0,
        "last_ns": 15_000 * MS,
        "freezes": [(s * 5000 * MS, (s * 5000 + 200) * MS) for s in (0, 1, 2)],
    }
    theory = load.theory(account)
    assert theory["p50_ms"] == 0
    assert theory["p99_ms"] == pytest.approx(150, abs=1)
    assert theory["max_ms"] == pytest.approx(200, abs=1)


def test_a_standstill_outside_the_run_does_not_count() -> None:
    account = {"first_ns": 1000 * MS, "last_ns": 2000 * MS, "freezes": [(0, 200 * MS), (1950 * MS, 2150 * MS)]}
    theory = load.theory(account)
    assert theory["max_ms"] == 200, "a request that came when it began waits to its end"
    assert theory["p50_ms"] == 0


def test_a_tool_that_is_not_there_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(load_tools, "find", lambda program: None)
    assert [tool.program for tool in load.there(load_tools.cost_tools(1000))] == [None]
    said = capsys.readouterr().err
    assert "SKIPPED: wrk -c 32: it is not installed (apt-get install wrk)" in said
    assert "SKIPPED: Locust, 32 users: it is not installed (make bench-load installs it)" in said
