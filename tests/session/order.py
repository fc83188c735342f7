"""The order of the tests, and which of them may run beside others (`pytest -n 4 --dist loadgroup`).

- Tests that share a fixture of a module, or a costly one of the session, go to one worker, so that it is made once.
- The long ones begin first: one that began last would be waited for alone.
- A test marked `alone` measures time or CPU. It runs last, and nothing else runs meanwhile: every other test holds a
  lock that it waits for. Only the processes of one run of xdist take part.
"""

import fcntl
from collections.abc import Generator
from pathlib import Path

import pytest

COSTLY = ("note_database", "rows")
"""Fixtures of the session that take seconds to make."""

LONG = (
    "tests/drills/",
    "tests/e2e/",
    "tests/indexes/lint/test_other_tools.py",
    "tests/indexes/test_kills.py",
    "tests/indexes/test_replica.py",
    "tests/indexes/test_the_fourteen_indexes.py",
    "tests/indexes/test_writers.py",
    "tests/load/test_accuracy.py",
    "tests/load/test_process.py",
    "tests/monitoring/test_live.py",
    "tests/operations/test_drain.py",
    "tests/operations/test_rollback.py",
    "tests/operations/test_rolling.py",
    "tests/operations/test_serve.py",
    "tests/operations/test_status.py",
    "tests/operations/test_up.py",
    "tests/proof/test_break_even.py",
    "tests/proof/test_deployments.py",
    "tests/proof/test_judge_on_trial.py",
    "tests/proof/test_prove.py",
    "tests/proof/test_report.py",
    "tests/repo/test_bare_install.py",
    "tests/repo/test_nothing_foreign.py",
    "tests/sample_data/",
    "tests/security/test_tls.py",
    "tests/video_orchestrator/",
    "tests/cache/test_races.py",
    "tests/embedded/",
    "tests/whatsapp_webhook/test_kill_campaign.py",
    "tests/whatsapp_webhook/test_watch.py",
)
"""What starts platforms, renders, fills databases or plays rounds: `slow` as a whole, whatever its tests say."""

_HERE = Path(__file__).parent
_GATE, _MACHINE = _HERE / "__init__.py", _HERE / "order.py"
"""Any two files serve as locks. Whoever wants the machine alone closes the gate, else others would never be through."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group and sort; a group comes as early as the longest of its tests wants, or last."""
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.nodeid.startswith(LONG):
            item.add_marker("slow")
        group = _group(item)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
        groups.setdefault(group or item.nodeid, []).append(item)
    items[:] = [item for group in sorted(groups.values(), key=_rank) for item in group]


def _group(item: pytest.Item) -> str:
    fixtures = getattr(item, "fixturenames", ())
    if shared := [name for name in COSTLY if name in fixtures]:
        return shared[0]
    known = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    if any(one.scope == "module" for name in fixtures for one in known.get(name, ())[-1:]):
        return item.nodeid.partition("::")[0]
    return ""


def _rank(group: list[pytest.Item]) -> int:
    if any(item.get_closest_marker("alone") for item in group):
        return 2
    return 0 if any(item.get_closest_marker("slow") for item in group) else 1


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Outside of every other wrapper, so that the time spent waiting for the lock counts for no limit."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    alone = item.get_closest_marker("alone")
    with _MACHINE.open() as machine:
        with _GATE.open() as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        return (yield)
