"""From a database and its workload to advice."""

import time
from collections.abc import Callable, Sequence

from easymo.indexes.advise import judgement
from easymo.indexes.advise.advice import Advice, AdvisedIndex
from easymo.indexes.advise.candidates import Candidate
from easymo.indexes.advise.outcomes import outcomes
from easymo.indexes.advise.search import Search
from easymo.indexes.advise.workload import Work, place_of, read_work, read_workload
from easymo.indexes.hotqueries import HotQuery
from easymo.indexes.observed import Connection, quoted
from easymo.indexes.price import write_us_per_row
from easymo.indexes.scratch import MAX_COPY_BYTES, Copy, copy_tables, order_note, scratch_databases
from easymo.indexes.security import copy_policies
from easymo.indexes.session import reader
from easymo.indexes.state import LEAST_DAYS, Usage, index_states, usage
from easymo.indexes.tables import CopiedTable, read_tables

_SKIP_SCAN_SINCE = 18


async def advise(
    database_url: str,
    workload: Sequence[HotQuery] | None = None,
    *,
    budget_bytes: int | None = None,
    scratch_url: str | None = None,
    role: str | None = None,
    least_days: float = LEAST_DAYS,
    max_copy_bytes: int = MAX_COPY_BYTES,
    say: Callable[[str], None] | None = None,
) -> Advice:
    """Advise indexes for `workload`, or for what pg_stat_statements has counted; the database is only read.

    `budget_bytes` bounds the size of all of them. `scratch_url` names a server for the copies, best of the database's
    own version; without it an embedded PostgreSQL 18 holds them. `role` is the one that runs the workload, whose
    policies of row-level security plans then hold. No index is called unused before its use was counted for
    `least_days`. `say` hears what is being done. Raises ConnectError, VersionError, CountersError, AdviceError and
    ScratchError.
    """
    started, say = time.perf_counter(), say or (lambda line: None)
    async with reader(database_url) as source:
        statements, notes = await read_workload(source) if workload is None else (workload, list[str]())
        work = await read_work(source, statements, role)
        async with scratch_databases(scratch_url, 2, source) as (full, small):
            say(f"copying {sum(table.bytes for table in work.tables) / 1e6:.0f} MB of {len(work.tables)} tables")
            copied = await copy_tables(source, full, work.tables, max_copy_bytes)
            modelled = await copy_tables(full, small, await _copies(full, work), judgement.MODEL_BYTES)
            for connection in (full, small):
                if work.role:
                    await copy_policies(connection, work.tables, work.policies)
            versions = source.get_server_version().major, full.get_server_version().major
            ratios = copied.sampled_ratio, modelled.sampled_ratio
            search = Search(source, full, small, work, ratios, budget_bytes, say)
            skips = versions[0] < _SKIP_SCAN_SINCE <= versions[1]
            await search.measure(await search.choose(), without_skip_scans=skips)
            prices = await _write_prices(full, work.tables, search.built)
            advised = [_advised(search, work, candidate, prices) for candidate in search.built]
            counted = await usage(source, ())
            notes += work.notes + _notes(work, copied, versions, counted.unused_unknown_because(least_days))
            notes += [note] if (note := await order_note(source, full)) else []
            return Advice(
                indexes=sorted(advised, key=lambda index: -index.gain_ms_per_minute),
                statements=outcomes(work, search, budget_bytes),
                queries=search.gains(),
                before_ms_per_minute=search.total_ms(search.before),
                after_ms_per_minute=search.total_ms(search.after),
                size_bytes=sum(index.size_bytes for index in advised),
                hot_kept_ratio=work.prices.hot_kept_ratio([candidate.definition for candidate in search.built]),
                dropped=search.dropped,
                to_drop=_worth_nothing(work, counted, least_days) | _covered(work, search.built),
                notes=list(dict.fromkeys(notes)),
                copied=copied,
                seconds=round(time.perf_counter() - started, 1),
            )


async def _copies(full: Connection, work: Work) -> list[CopiedTable]:
    known = await read_tables(full)
    return known.with_parents([table.place for table in work.tables])


def _worth_nothing(work: Work, counted: Usage, least_days: float) -> dict[str, str]:
    states = index_states(work.observed, {}, counted, least_days)
    names = {index.name: f"{quoted(index.schema)}.{quoted(index.name)}" for index in work.observed}
    return {names[state.index]: state.remark for state in states if state.remark}


async def _write_prices(
    full: Connection, tables: Sequence[CopiedTable], built: Sequence[Candidate]
) -> dict[str, float]:
    prices: dict[str, float] = {}
    for table in tables:
        statements = [candidate.statement for candidate in built if candidate.table == table.place]
        prices |= await write_us_per_row(full, table, statements) if statements else {}
    return prices


def _advised(search: Search, work: Work, candidate: Candidate, write_prices: dict[str, float]) -> AdvisedIndex:
    gains = {gain.query: gain for gain in search.gains()}
    return AdvisedIndex(
        name=candidate.name,
        statement=candidate.statement,
        serves=[gains[name] for name in sorted(search.queries_of(candidate.qualified))],
        gain_ms_per_minute=search.gain_ms[candidate],
        price_ms_per_minute=search.price_ms(candidate),
        size_bytes=search.size_bytes[candidate],
        write_us_per_row=write_prices.get(candidate.statement),
        ends_hot_for=work.prices.ended_by(candidate.definition, [other.definition for other in search.built]),
        partitioned=any(table.partitioned for table in work.tables if table.place == candidate.table),
    )


def _covered(work: Work, built: Sequence[Candidate]) -> dict[str, str]:
    return {
        f"{quoted(index.schema)}.{quoted(index.name)}": f"covered by {candidate.name}"
        for index in work.observed
        for candidate in built
        if place_of(index) == candidate.table
        and not index.is_needed_itself
        and candidate.definition.shape.covers(index.shape)
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
    if flat := [table.place for table in work.tables if table.partitioned]:
        notes.append(f"{', '.join(flat)}: measured as one table; in the database only some partitions may be read.")
    if not any(writes.updates for writes in work.prices.writes.values()):
        notes.append("No updates are known, neither from the workload nor from the counters: HOT could not be priced.")
    return notes
