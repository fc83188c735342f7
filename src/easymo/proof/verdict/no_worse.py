"""The promises of a comparison that nobody wrote any for: what was must not get worse."""

from collections.abc import Iterable, Sequence

from easymo.proof.verdict.judge import MINIMUM_REQUESTS
from easymo.proof.verdict.measurement import Round
from easymo.proof.verdict.promises import Promise

SOURCE = "asked when nothing was promised"
ERRORS_AT_MOST = 0.01


def latencies_no_longer(rounds: Sequence[Round]) -> list[Promise]:
    """P50, P95 and P99 of all requests no longer than before, and P50 of each kind when the scenario has several.

    What a round of the comparison has too few requests for is left out, as it could only be inconclusive; the P50 of
    all requests stays.
    """
    compared = [round_ for round_ in rounds if round_.phase == "compare"]
    least = min((round_.load.requests for round_ in compared), default=0)
    promises = [
        _no_more(f"latency_{percentile}", f"{percentile.upper()} no longer than before")
        for percentile in ("p50", "p95", "p99")
        if percentile == "p50" or least >= MINIMUM_REQUESTS[percentile]
    ]
    names = dict.fromkeys(name for round_ in compared for name in round_.load.per_request)
    if len(names) > 1:
        promises += [
            _no_more(f"latency_p50:{name}", f"P50 of {name} no longer than before")
            for name in names
            if min(round_.requests(name) for round_ in compared) >= MINIMUM_REQUESTS["p50"]
        ]
    return promises


def few_errors(metrics: Iterable[str] = ("error_ratio",)) -> list[Promise]:
    """Error ratios of at most 1 %: of the comparison, or at the given rates (``error_ratio@RATE``)."""
    return [
        Promise(
            id=metric,
            claim=f"at most {ERRORS_AT_MOST * 100:g} % errors"
            + (f" at {metric.split('@')[1]}/s" if "@" in metric else ""),
            source=SOURCE,
            metric=metric,
            kind="level",
            at_most=ERRORS_AT_MOST,
        )
        for metric in metrics
    ]


def resources_no_worse() -> list[Promise]:
    """Capacity no lower; statements per request and CPU no more."""
    capacity = Promise(
        id="capacity_rps",
        claim="capacity no lower than before",
        source=SOURCE,
        metric="capacity_rps",
        kind="change",
        at_least=0.0,
    )
    return [
        capacity,
        _no_more("db_statements_per_request", "no more statements per request than before"),
        _no_more("cpu_ratio", "no more CPU than before"),
    ]


def _no_more(metric: str, claim: str) -> Promise:
    return Promise(id=metric, claim=claim, source=SOURCE, metric=metric, kind="change", at_most=0.0)
