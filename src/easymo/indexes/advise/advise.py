"""From a database and its workload to advice."""

import time
from collections.abc import Callable, Sequence

from easymo.indexes.advise.advice import Advice, AdvisedIndex
from easymo.indexes.advise.candidates import Candidate
from easymo.indexes.advise.search import Search
from easymo.indexes.advise.workload import Work, read_work, read_workload
from easymo.indexes.hotqueries import HotQuery
from easymo.indexes.observed import Connection
from easymo.indexes.price import write_us_per_row
from easymo.indexes.scratch import MAX_COPY_BYTES, Copy, copy_tables, scratch_databases
from easymo.indexes.session import reader
from easymo.indexes.state import index_states, usage
from easymo.indexes.tables import CopiedTable, find_tables

# The search asks the planner thousands of times; its copy is small, so that every candidate can be built there.
_MODEL_BYTES = 64 * 10**6
_MATTERS = 0.005  # of all that is left
_SKIP_SCAN_SINCE = 18


async def advise(
    database_url: str,
    workload: Sequence[HotQuery] | None = None,
    *,
    budget_bytes: int | None = None,
    scratch_url: str | None = None,
    max_copy_bytes: int = MAX_COPY_BYTES,
    say: Callable[[str], None] | None = None,
) -> Advice:
    """Advise indexes for `workload`, or for what pg_stat_statements has counted; the database is only read.

    `budget_bytes` bounds the size of all of them. `scratch_url` names a server for the copies, best of the database's
    own version; without it an embedded PostgreSQL 18 holds them. `say` hears what is being done. Raises ConnectError,
    VersionError, CountersError, AdviceError and ScratchError.
    """
    started, say = time.perf_counter(), say or (lambda line: None)
    async with reader(database_url) as source, scratch_databases(scratch_url, 2) as (full, small):
        work = await read_work(source, await read_workload(source) if workload is None else workload)
        say(f"copying {sum(table.bytes for table in work.tables) / 1e6:.0f} MB of {len(work.tables)} tables")
        copied = await copy_tables(source, full, work.tables, max_copy_bytes)
        small_tables = await find_tables(full, [table.name for table in work.tables])
        modelled = await copy_tables(full, small, small_tables, _MODEL_BYTES)
        versions = source.get_server_version().major, full.get_server_version().major
        search = Search(source, full, small, work, (copied.sampled_ratio, modelled.sampled_ratio), budget_bytes, say)
        skips = versions[0] < _SKIP_SCAN_SINCE <= versions[1]
        await search.measure(await search.choose(), without_skip_scans=skips)
        prices = await _write_prices(full, work.tables, search.built)
        advised = [_advised(search, work, candidate, prices) for candidate in search.built]
        counted = await usage(source, ())
        remarks = index_states(work.observed, {}, counted)
        return Advice(
            indexes=sorted(advised, key=lambda index: -index.gain_ms_per_minute),
            queries=search.gains(),
            before_ms_per_minute=search.total_ms(search.before),
            after_ms_per_minute=search.total_ms(search.after),
            size_bytes=sum(index.size_bytes for index in advised),
            hot_kept_ratio=work.prices.hot_kept_ratio([candidate.definition for candidate in search.built]),
            dropped=search.dropped,
            to_drop={state.index: state.remark for state in remarks if state.remark} | _covered(work, search.built),
            unhelped=_unhelped(search) | work.refused | search.refused,
            notes=_notes(work, copied, versions, counted.unknown_because),
            copied=copied,
            seconds=round(time.perf_counter() - started, 1),
        )


async def _write_prices(
    full: Connection, tables: Sequence[CopiedTable], built: Sequence[Candidate]
) -> dict[str, float]:
    prices: dict[str, float] = {}
    for table in tables:
        statements = [candidate.statement for candidate in built if candidate.table == table.name]
        prices |= await write_us_per_row(full, table, statements) if statements else {}
    return prices


def _advised(search: Search, work: Work, candidate: Candidate, write_prices: dict[str, float]) -> AdvisedIndex:
    gains = {gain.query: gain for gain in search.gains()}
    return AdvisedIndex(
        name=candidate.name,
        statement=candidate.statement,
        serves=[gains[name] for name in sorted(search.queries_of(candidate.name))],
        gain_ms_per_minute=search.gain_ms[candidate],
        price_ms_per_minute=search.price_ms(candidate),
        size_bytes=search.size_bytes[candidate],
        write_us_per_row=write_prices.get(candidate.statement),
        ends_hot_for=work.prices.ended_by(candidate.definition, [other.definition for other in search.built]),
    )


def _covered(work: Work, built: Sequence[Candidate]) -> dict[str, str]:
    return {
        index.name: f"covered by {candidate.name}"
        for index in work.observed
        for candidate in built
        if index.table == candidate.table
        and not index.backs_constraint
        and candidate.definition.shape.covers(index.shape)
    }


def _unhelped(search: Search) -> dict[str, str]:
    """Queries that use no advised index, read a table from end to end, and matter."""
    least = _MATTERS * search.total_ms(search.after)
    helped = {name for candidate in search.built for name in search.queries_of(candidate.name)}
    rest = [(gain, search.after[gain.query].scanned) for gain in search.gains() if gain.query not in helped]
    return {
        gain.query: f"{gain.after_ms:.1f} ms; it reads all of {', '.join(sorted(scanned))}"
        for gain, scanned in rest
        if scanned and gain.after_ms * gain.calls_per_minute > least
    }


def _notes(work: Work, copied: Copy, versions: tuple[int, int], unknown_because: str) -> list[str]:
    notes = [f"Left out on the copy, as its server refused it: {text}" for text in copied.left_out]
    if versions[0] != versions[1]:
        notes.append(
            f"Measured on PostgreSQL {versions[1]}, while the database is {versions[0]}: plans may differ. Name a "
            "server of its version with --scratch."
        )
    notes.append(
        "Planned with the server's own statistics, imported into the copy (those of expressions are counted there)."
        if copied.own_statistics
        else f"Planned with statistics that ANALYZE counted on the copy: PostgreSQL {versions[1]} cannot be given the "
        "server's own, 18 can."
    )
    if copied.sampled_ratio < 1:
        notes.append(f"Measured on {copied.sampled_ratio:.1%} of the rows; sizes are scaled up, times are not.")
    if unknown_because:
        notes.append(f"No index is called unused: {unknown_because}.")
    if not any(writes.updates for writes in work.prices.writes.values()):
        notes.append("No updates are known, neither from the workload nor from the counters: HOT could not be priced.")
    return notes
