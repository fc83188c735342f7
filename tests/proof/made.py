"""A verdict file made up for tests of what is done with one."""

from msgspec.structs import replace

from easymo.proof.verdict.file import (
    Applied,
    AppliedIndex,
    ArmResult,
    ArmWrites,
    BreakEven,
    Cold,
    GridCell,
    Machine,
    Rollback,
    Scale,
    TableUpdates,
    VerdictFile,
)
from easymo.proof.verdict.flips import find_flips, outcome_of
from easymo.proof.verdict.judge import Decision, Verdict


def made_verdict() -> VerdictFile:
    """A verdict file with one promise of each kind of verdict."""

    def verdict(identity: str, decision: Decision, interval: list[float | None] | None) -> Verdict:
        return Verdict(
            id=identity,
            claim=f"the claim of {identity}, which is a long one: P95 287 → ~150 ms",
            source="After Optimization (Projected)",
            unit="ms",
            before=287.0,
            after=150.0,
            change=-0.477,
            interval=interval,
            verdict=decision,
            basis="measured",
            kind="change",
            metric="latency_p95",
            limit=-0.45,
            reason="10 pairs",
        )

    arm = ArmResult(
        capacity_rps=100.0,
        latency_ms={"p50": 98.0, "p95": 287.0, "p99": 456.0},
        at_rps=50.0,
        error_ratio={"156": 0.023},
        db_statements_per_request=1.5,
        cpu_ratio=0.9,
        rss_bytes=70_000_000,
        db_connections=8,
    )
    return VerdictFile(
        schema=1,
        mode="default",
        valid=True,
        created="2026-11-24T08:00:00+00:00",
        git="0" * 40,
        machine=Machine("a processor", 2, 25_000_000_000, "6.1", "3.11.7", "PostgreSQL 18.6", "Valkey 9.1.2"),
        scale=Scale("small", 1, {"orders": 150_000}),
        baseline_indexes=["CREATE UNIQUE INDEX orders_pkey ON public.orders USING btree (id)"],
        arms={"none": arm, "both": replace(arm, capacity_rps=400.0)},
        promises=[
            verdict("orders-faster", "kept", [-0.5, -0.46]),
            verdict("impossible", "broken", [-0.4, None]),
            verdict("no-errors", "inconclusive", None),
        ],
        rollback=Rollback(1.2, True),
        system="Shop",
        applied=Applied(3.0, [AppliedIndex("orders_by_customer", 0.2, 16_384)]),
        aa={"latency_p50": [-0.1, 0.1]},
    )


def made_break_even() -> BreakEven:
    """Three data sizes with three settings: one promise turns along both axes, one is broken, one undecided."""
    scales, settings = ["0.1", "0.35", "1"], [0.0, 1.0, 2.0]
    letters: dict[str, list[Decision]] = {
        "0.1": ["broken", "broken", "kept"],
        "0.35": ["broken", "inconclusive", "kept"],
        "1": ["kept", "kept", "kept"],
    }
    cells = [
        GridCell(
            scale=scale,
            repeat_read=setting,
            rows={"calls": 100_000, "messages": 50_000},
            rate_rps=56.0,
            repeat_read_ratio=0.36 + setting * 0.26,
            capacity_rps={"none": 113.0, "both": 904.0},
            changes={"latency_p95": [-0.2 - 0.1 * place, -0.3 - 0.1 * place, None if place == 2 else -0.1]},
            verdicts={"orders-faster": decision, "impossible": "broken", "no-errors": "inconclusive"},
        )
        for scale in scales
        for place, (setting, decision) in enumerate(zip(settings, letters[scale], strict=True))
    ]
    return BreakEven(scales, settings, 4, 3.5, cells, find_flips(cells, scales, settings), outcome_of(cells))


def made_write_cost() -> dict[str, ArmWrites]:
    """Two arms, the second of which has more indexes to write to."""
    latency = {"new order": {"p50": 1.7, "p95": 4.9}}
    none = ArmWrites(134.8, 2600, 3_400_000, {"orders": TableUpdates(1200, 0.98)}, latency)
    change = {"new order": {"p50": [0.1, 0.02, 0.18]}}
    both = ArmWrites(236.0, 2600, 8_200_000, {"orders": TableUpdates(1200, 0.11)}, latency, change)
    return {"none": none, "both": both}


def made_cold() -> Cold:
    """Four pairs with an emptied cache."""
    latency = {"p50": 20.0, "p95": 90.0, "p99": 140.0}
    return Cold(4, 4.0, {"none": latency, "both": latency}, {"latency_p95": [-0.8, -0.85, -0.7]})
