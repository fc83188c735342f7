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

_HERE = Path(__file__).parent
_GATE, _MACHINE = _HERE / "__init__.py", _HERE / "order.py"
"""Any two files serve as locks. Whoever wants the machine alone closes the gate, else others would never be through."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group and sort; a group comes as early as the longest of its tests wants, or last."""
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
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
