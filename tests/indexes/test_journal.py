"""The journal covers what the catalogue cannot tell: an index that was built and not marked, and what it replaced."""

import re
from pathlib import Path

import asyncpg
import pytest

from easymo.indexes import apply, difference, rollback, snapshot
from easymo.indexes.journal import Journal
from easymo.indexes.plan import Action
from tests.indexes.conftest import Declare, indexes_of

BY_TOTAL = "create index concurrently by_total on orders (total) where status in ('new', 'paid')"


async def killed_before_the_mark(
    connection: asyncpg.Connection, database_url: str, declare: Declare, file: Path
) -> None:
    """What an apply leaves that is killed between the end of the build and the mark."""
    await apply(database_url, declare(BY_TOTAL), journal=file)
    await connection.execute("comment on index by_total is null")
    forget_the_end(file)


def forget_the_end(journal: Path) -> None:
    """Leave only the lines that announce a build."""
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if '"event":"build"' in line))


async def test_unmarked_index_of_a_killed_run_is_marked_by_the_next_one(
    connection: asyncpg.Connection, database_url: str, declare: Declare, tmp_path: Path
) -> None:
    await killed_before_the_mark(connection, database_url, declare, tmp_path / "journal")
    (applied,) = await apply(database_url, declare(BY_TOTAL), journal=tmp_path / "journal")
    assert applied.action is Action.MARK
    (rolled_back,) = await rollback(database_url, declare(BY_TOTAL))
    assert rolled_back.dropped, "the mark alone is enough on another machine"


async def test_unmarked_index_of_a_killed_run_is_taken_back(
    connection: asyncpg.Connection, database_url: str, declare: Declare, tmp_path: Path
) -> None:
    before = await snapshot(connection)
    await killed_before_the_mark(connection, database_url, declare, tmp_path / "journal")
    await rollback(database_url, declare(BY_TOTAL), journal=tmp_path / "journal")
    assert difference(before, await snapshot(connection)) == []


@pytest.mark.parametrize("theirs", [BY_TOTAL, "create index by_total on orders (total)"])
async def test_index_that_was_there_before_is_never_taken_for_ours(
    connection: asyncpg.Connection, database_url: str, declare: Declare, tmp_path: Path, theirs: str
) -> None:
    await apply(database_url, declare(BY_TOTAL), journal=tmp_path / "journal")
    await rollback(database_url, declare(BY_TOTAL), journal=tmp_path / "journal")
    await connection.execute(theirs)
    (kept,) = await rollback(database_url, declare(BY_TOTAL), journal=tmp_path / "journal")
    assert kept.kept_because
    assert await indexes_of(connection) == {"by_total": True}


async def test_journal_of_another_database_says_nothing_about_this_one(
    connection: asyncpg.Connection, database_url: str, declare: Declare, tmp_path: Path
) -> None:
    file = tmp_path / "journal"
    await killed_before_the_mark(connection, database_url, declare, file)
    file.write_text(re.sub('"database":"[^"]*"', '"database":"another/1"', file.read_text()))
    (kept,) = await rollback(database_url, declare(BY_TOTAL), journal=file)
    assert kept.kept_because == "apply did not build it"


async def test_index_that_was_replaced_is_there_again_after_rollback(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await connection.execute("create index by_total on orders (total)")
    before = await snapshot(connection)
    await apply(database_url, declare(BY_TOTAL), replace=True)
    await rollback(database_url, declare(BY_TOTAL))
    assert difference(before, await snapshot(connection)) == []


async def test_replaced_index_is_not_forgotten_by_a_run_that_was_killed_after_its_drop(
    connection: asyncpg.Connection, database_url: str, declare: Declare, tmp_path: Path
) -> None:
    await connection.execute("create index by_total on orders (total)")
    before, file = await snapshot(connection), tmp_path / "journal"
    await apply(database_url, declare(BY_TOTAL), replace=True, journal=file)
    forget_the_end(file)
    await connection.execute("drop index by_total")
    await rollback(database_url, declare(BY_TOTAL), journal=file)
    assert difference(before, await snapshot(connection)) == []


def test_half_a_line_is_passed_over_and_the_next_one_begins_afresh(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    Journal(file, "here").write("build", "public", "first")
    with file.open("ab") as broken:
        broken.write(b'{"at":"2026-')
    Journal(file, "here").write("build", "public", "second")
    journal = Journal(file, "here")
    assert [bool(journal.unfinished("public", name)) for name in ("first", "second", "third")] == [True, True, False]
