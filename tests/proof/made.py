"""A verdict file made up for tests of what is done with one."""

from msgspec.structs import replace

from easymo.proof.machine import Machine
from easymo.proof.verdict_file import Applied, AppliedIndex, ArmResult, Rollback, Scale, VerdictFile
from easymo.proof.verdicts import Decision, Verdict


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
