"""Latency over percentile, before and after, with the interval over the rounds."""

import math
from collections.abc import Sequence

from easymo.chart.plot import Axis, Series, log_axis, plot
from easymo.load.distribution import Distribution, add, at_shares
from easymo.proof.report import wording
from easymo.proof.report.parts import look, section
from easymo.proof.verdict import statistics
from easymo.proof.verdict.file import VerdictFile
from easymo.proof.verdict.measurement import Round

#: An interval needs so many requests beyond the percentile in every round, as a verdict's P95 does.
BEYOND = 5
#: Steps between two powers of ten of the share that is slower.
STEPS = 12
TICKS = ((0.0, "0"), (0.5, "50"), (0.9, "90"), (0.95, "95"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99"))


def curves(result: VerdictFile, rounds: Sequence[Round]) -> str:
    """The percentile curve of every arm; the further right, the rarer the wait."""
    by_arm = {
        arm: [r for r in rounds if r.arm == arm and r.phase == "compare" and not r.load.void] for arm in result.arms
    }
    totals = {arm: add(r.load.latency_ms for r in found) for arm, found in by_arm.items()}
    most = max((total.count for total in totals.values() if total is not None), default=0)
    if most < BEYOND:
        return ""
    reach = math.log10(most)
    series = [s for arm in result.arms for s in _of_arm(result, arm, by_arm[arm], totals[arm], reach)]
    values = [y for one in series for _, y in one.points]
    x = Axis("percentile", 0.0, reach, [(_place(q), label) for q, label in TICKS if _place(q) <= reach * 0.98])
    chart = plot(
        series,
        x,
        log_axis("latency, ms", max(min(values), 0.001), max(values)),
        title=f"Latency from the intended send time, {_rate(result)}",
        description=_in_words(result),
        height=340,
    )
    told = (
        "<p class=dim>Lines: the geometric mean of the rounds' percentiles with its 95 % interval (shaded), as far as"
        f" every round has {BEYOND} requests beyond. Dotted: all rounds' requests together, which have no interval.</p>"
    )
    return section("Percentile curves", chart, told)


def _of_arm(
    result: VerdictFile, arm: str, rounds: Sequence[Round], total: Distribution | None, reach: float
) -> list[Series]:
    found = [r.load.latency_ms for r in rounds if r.load.latency_ms is not None]
    if total is None or len(found) < 2:
        return []
    each = min(d.count for d in found)
    places = [n / STEPS for n in range(int(reach * STEPS) + 1)]
    supported = [p for p in places if each * 10.0**-p >= BEYOND]
    levels = [
        statistics.of_mean([math.log(max(v, 0.001)) for v in column]).level() for column in _columns(found, supported)
    ]
    rest = places[max(len(supported) - 1, 0) :]
    which = look(list(result.arms), arm)
    return [
        Series(
            wording.arm(result, arm),
            which,
            "curve",
            [(p, level.value) for p, level in zip(supported, levels, strict=True)],
            [(p, level.lo, level.hi) for p, level in zip(supported, levels, strict=True)],
        ),
        Series("", which, "dotted", list(zip(rest, at_shares(total, _shares(rest)), strict=True))),
    ]


def _columns(found: Sequence[Distribution], places: Sequence[float]) -> list[tuple[float, ...]]:
    return list(zip(*(at_shares(d, _shares(places)) for d in found), strict=True))


def _shares(places: Sequence[float]) -> list[float]:
    return [1 - 10.0**-p for p in places]


def _place(share: float) -> float:
    return -math.log10(1 - share)


def _rate(result: VerdictFile) -> str:
    rates = {arm.at_rps for arm in result.arms.values() if arm.at_rps}
    return "at " + " and ".join(f"{rate:g}" for rate in sorted(rates)) + " requests/s" if rates else "each at its rate"


def _in_words(result: VerdictFile) -> str:
    said = []
    for arm, found in result.arms.items():
        three = ", ".join(f"{p.upper()} {wording.amount(found.latency_ms.get(p), 'ms')}" for p in ("p50", "p95", "p99"))
        said.append(f"{arm}: {three}")
    return "Latency over percentile on logarithmic axes. " + "; ".join(said) + "."
