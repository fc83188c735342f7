"""Rounds made up from factors: what a simulated machine would have measured."""

import math
import random
from collections.abc import Callable, Sequence

from drills.proof.noises import Noise
from easymo.load.answers import Answers
from easymo.load.distribution import Distribution, distribution
from easymo.load.result import LoadResult, Tally
from easymo.proof.verdict.measurement import AA_PHASES, Measurements, Phase, Resources, Round

BEFORE, AFTER = "before", "after"
REQUESTS, ROUND_S = 200, 4.0


def level(ms: float, count: int = REQUESTS) -> Distribution:
    """Latencies of which only the percentiles are known."""
    return Distribution(count, ms, 3 * ms, 5 * ms, 5 * ms, 5 * ms, ms, "")


def drawn(ms: float, lot: random.Random, count: int = REQUESTS, spread: float = 0.5) -> Distribution:
    """Latencies of `count` requests, log-normal about `ms`."""
    found = distribution([int(1e6 * ms * math.exp(lot.gauss(0, spread))) for _ in range(count)])
    assert found is not None
    return found


def a_round(
    arm: str,
    phase: Phase,
    pair: int,
    latency: Distribution,
    *,
    errors: int = 0,
    requests: int | None = None,
    named: dict[str, Tally] | None = None,
    answers: dict[str, Answers] | None = None,
    void: str | None = None,
    seconds: Sequence[int] = (),
) -> Round:
    """A round as the judge reads it; `seconds` are the errors of each."""
    count = latency.count if requests is None else requests
    each = count // max(len(seconds), 1)
    load = LoadResult(
        seed=pair,
        salt="",
        duration_s=ROUND_S,
        requests=count,
        sent=count,
        error_ratio=errors / count,
        errors={"status_5xx": errors} if errors else {},
        statuses={"2xx": count - errors},
        latency_ms=latency,
        service_ms=None,
        lateness_ms=None,
        void=void,
        per_request=named or {},
        timeline=[Tally(each, k, None) for k in seconds],
        reads=0,
        repeated_reads=0,
        cpu_s=0.0,
        priority="normal",
        answers=answers or {},
    )
    return Round(arm, phase, pair, count / ROUND_S, load, Resources(None, None, None, None))


def match(
    noise: Noise,
    lot: random.Random,
    pairs: int,
    *,
    effect: float = 1.0,
    aa_pairs: int = 4,
    latency: Callable[[float], Distribution] = level,
) -> Measurements:
    """A match as `session/match.py` plays it, on a machine with this noise.

    `effect` is after / before, `latency` what a round of that P50 has.
    """
    factors = iter(noise(2 * (aa_pairs + pairs), lot))
    measured = Measurements()
    for pair in range(aa_pairs):
        for phase in lot.sample(AA_PHASES, 2):
            arm = (BEFORE, AFTER)[pair % 2]
            ms = 10 * next(factors) * (effect if arm == AFTER else 1.0)
            measured.rounds.append(a_round(arm, phase, pair, latency(ms)))
    for pair in range(pairs):
        for arm in lot.sample((BEFORE, AFTER), 2):
            ms = 10 * next(factors) * (effect if arm == AFTER else 1.0)
            measured.rounds.append(a_round(arm, "compare", pair, latency(ms)))
    return measured
