"""What writing costs: from Postgres' own counters, and from the rounds."""

import asyncpg
from msgspec.structs import replace

from easymo.embedded import Postgres
from easymo.proof.system.sampling import Sampler
from easymo.proof.system.write_cost import UpdateCounters, read_counters, write_cost
from easymo.proof.verdict.measurement import Measurements, Resources, Round
from tests.proof.conftest import MakeRound

NOTHING = UpdateCounters({}, 0)


async def test_an_update_of_an_indexed_column_is_not_hot(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "CREATE TABLE calls (id int PRIMARY KEY, status text, seen int) WITH (fillfactor = 50);"
        "CREATE INDEX calls_by_status ON calls (status);"
        "INSERT INTO calls SELECT n, 'active', 0 FROM generate_series(1, 100) n"
    )
    await connection.close()  # a session's counters are there once it ends
    before = await read_counters(database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE calls SET seen = 1 WHERE id <= 30")
    await connection.execute("UPDATE calls SET status = 'ended' WHERE id > 90")
    await connection.close()
    after = await read_counters(database_url)
    found = write_cost(Measurements(), {"none": (before, after)}, [])["none"]
    assert found.updates["calls"].rows == 40
    assert found.updates["calls"].hot_ratio == 0.75
    assert found.index_bytes > 0


async def test_the_log_of_an_arm_is_that_of_its_own_writing_statements(postgres: Postgres, database_url: str) -> None:
    control, arm = await asyncpg.connect(postgres.url), await asyncpg.connect(database_url)
    elsewhere = await asyncpg.connect(postgres.url)
    await arm.execute("CREATE TABLE calls (id int PRIMARY KEY, status text)")
    name = await arm.fetchval("SELECT current_database()")
    sampler = Sampler(control, name, {}, count_statements=True)
    async with sampler:
        await arm.execute("INSERT INTO calls SELECT n, 'active' FROM generate_series(1, 50) n")
        await arm.execute("WITH gone AS (DELETE FROM calls WHERE id = 1 RETURNING id) SELECT * FROM gone")
        await arm.execute("UPDATE calls\nSET status = 'ended' WHERE id = 2")
        await arm.execute("SELECT status FROM calls WHERE id = 3 FOR UPDATE")
        await elsewhere.execute("CREATE TABLE noise AS SELECT generate_series(1, 5000); DROP TABLE noise")
    used = sampler.resources(requests=2, traffic_s=1.0)
    assert used.db_writes == 3, "a lock is no write"
    assert used.db_statements_per_request == 2.0
    assert used.wal_bytes is not None
    assert 52 * 40 < used.wal_bytes < 52 * 1000
    for connection in (control, arm, elsewhere):
        await connection.close()


def rounds(make_round: MakeRound, arm: str, wal_bytes: int | None, latency_ms: float) -> list[Round]:
    used = Resources(2.0, 0.5, 1000, 4, wal_bytes=wal_bytes, db_writes=10 if wal_bytes else None)
    return [replace(make_round(arm, pair=pair, latency_ms=latency_ms), resources=used) for pair in range(3)]


def test_log_and_latency_are_told_per_arm_and_change_against_the_baseline(make_round: MakeRound) -> None:
    played = [*rounds(make_round, "none", 1000, 10.0), *rounds(make_round, "both", 3000, 12.0)]
    counters = {"none": (NOTHING, NOTHING), "both": (NOTHING, NOTHING)}
    found = write_cost(Measurements(played), counters, ["read", "no such request"])
    assert (found["none"].wal_bytes_per_write, found["both"].wal_bytes_per_write) == (100, 300)
    assert (found["none"].db_writes, found["both"].db_writes) == (30, 30)
    assert found["none"].change == {}
    change, low, high = found["both"].change["read"]["p50"]
    assert 0.19 < low <= change <= high < 0.21
    assert found["both"].latency_ms.keys() == {"read"}


def test_a_server_that_does_not_count_statements_tells_no_log(make_round: MakeRound) -> None:
    found = write_cost(Measurements(rounds(make_round, "none", None, 10.0)), {"none": (NOTHING, NOTHING)}, [])
    assert found["none"].wal_bytes_per_write is None


def test_rounds_with_a_cold_cache_are_not_among_those_that_count(make_round: MakeRound) -> None:
    cold = [replace(one, phase="cold") for one in rounds(make_round, "none", 9000, 99.0)]
    warm = rounds(make_round, "none", 1000, 10.0)
    found = write_cost(Measurements([*cold, *warm]), {"none": (NOTHING, NOTHING)}, ["read"])
    assert found["none"].wal_bytes_per_write == 100
    assert found["none"].latency_ms["read"]["p50"] < 11
