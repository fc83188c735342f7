"""The promises of a comparison that nobody wrote any for: what was must not get worse."""

from collections.abc import Iterable, Sequence

from easymo.proof.verdict.measurement import Round
from easymo.proof.verdict.metrics import METRICS
from easymo.proof.verdict.promises import Promise

SOURCE = "asked when nothing was promised"
ERRORS_AT_MOST = 0.01
#: How much longer counts as no longer. A tail is made of fewer requests, so minutes tell less of it.
MARGINS = {"latency_p50": 0.05, "latency_p95": 0.10, "latency_p99": 0.20}
MARGIN_OF_A_KIND = 0.10
#: A search encloses a capacity within a fifth, so a smaller loss cannot be told.
MARGIN_OF_CAPACITY = 0.25


def latencies_no_longer(rounds: Sequence[Round]) -> list[Promise]:
    """P50, P95 and P99 of all requests no longer than before, and P50 of each kind when the scenario has several.

    A kind of which the comparison has too few requests for a P50 is left out: it could only be inconclusive.
    """
    promises = [
        _no_more(name, f"{METRICS[name].says} no longer than before", margin) for name, margin in MARGINS.items()
    ]
    compared = [round_ for round_ in rounds if round_.phase == "compare"]
    names = dict.fromkeys(name for round_ in compared for name in round_.load.per_request)
    arms = {round_.arm for round_ in compared}
    if len(names) > 1:
        promises += [
            _no_more(f"latency_p50:{name}", f"P50 of {name} no longer than before", MARGIN_OF_A_KIND)
            for name in names
            if min(sum(r.requests(name) for r in compared if r.arm == arm) for arm in arms)
            >= METRICS["latency_p50"].least_requests
        ]
    return promises


def or_no_worse(promises: list[Promise], rounds: Sequence[Round]) -> list[Promise]:
    """What was promised; where nothing was, that latencies get no longer and errors stay few."""
    return promises or [*latencies_no_longer(rounds), *few_errors()]


def few_errors(metrics: Iterable[str] = ("error_ratio",)) -> list[Promise]:
    """At most :data:`ERRORS_AT_MOST` errors, on each of these metrics."""
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
        about=MARGIN_OF_CAPACITY,
    )
    return [
        capacity,
        _no_more("db_statements_per_request", "no more statements per request than before"),
        _no_more("cpu_ratio", "no more CPU than before"),
    ]


def _no_more(metric: str, claim: str, about: float | None = None) -> Promise:
    return Promise(id=metric, claim=claim, source=SOURCE, metric=metric, kind="change", at_most=0.0, about=about)
