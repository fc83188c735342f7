"""The first screen of the report: the sentence, what was changed, and every promise with its interval and its limit."""

import math
from html import escape

from easymo.proof.report import summary, wording
from easymo.proof.report.parts import section, table
from easymo.proof.report.table import reason
from easymo.proof.verdict.file import RequestResult, VerdictFile
from easymo.proof.verdict.judge import Verdict

METHOD = '<a href="../../docs/explanation/how-a-verdict-is-made.md">docs/explanation/how-a-verdict-is-made.md</a>'
#: Half of the picture's width stands for this factor; what is farther from the limit is drawn at the edge.
REACH = math.log(4)
WIDTH = 144
WORDS = ("verdict", "against the limit")


def first(result: VerdictFile) -> str:
    """Sentence, warnings, change, and the table of all promises."""
    warned = "".join(f"<p><strong>{escape(warning)}</strong></p>" for warning in summary.warnings(result))
    said = f"<p class=headline>{escape(summary.headline(result))}</p>"
    return f"{warned}{said}{_changed(result)}{verdicts(result)}"


def _changed(result: VerdictFile) -> str:
    lines = summary.changed(result)
    if not lines or result.change is None:
        return ""
    texts = "".join(
        f"<p><code>{escape(n)}</code></p><pre>{escape(text)}</pre>" for n, text in result.change.files.items()
    )
    said = "; ".join(f"<code>{escape(line)}</code>" for line in lines)
    if not texts:
        return f"<p>Changed: {said}</p>"
    return f"<details><summary>Changed: {said}</summary>{texts}</details>"


def verdicts(result: VerdictFile) -> str:
    """Every promise with its verdict, the broken ones first."""
    rows = [
        {
            "promise": f"{escape(v.claim)}<br><span class=dim>{escape(v.source)} · {escape(reason(v))}</span>",
            "verdict": f'<span class="{v.verdict}">{"undecided" if v.verdict == "inconclusive" else v.verdict}</span>',
            "before": wording.amount(v.before, v.unit),
            "after": wording.amount(v.after, v.unit),
            "change": wording.percent(v.change),
            "95 % interval": wording.interval(v),
            "limit": wording.limit(v),
            "against the limit": f'<span class="{v.verdict}">{_picture(v)}</span>',
            "n": f"{v.n:,}" if v.n else "–",
        }
        for v in summary.ordered(result)
    ]
    told = (
        "<p class=dim>The dotted line is the limit, the promised side is on its left; the picture reaches to a quarter"
        f" and to four times the limit. How a verdict is made: {METHOD}.</p>"
    )
    return section("Verdicts", table(rows, words=WORDS, wide=("n",)), told)


def _picture(v: Verdict) -> str:
    """The interval beside the limit, on the log of their ratio; nothing where there is no interval."""
    found = [v.change if v.kind == "change" else v.after, *(v.interval or [])]
    if len(found) < 3 or v.kind == "difference" or v.at_most is None:
        return ""
    value, low, high = (_place(v, end, default) for end, default in zip(found, (0.0, -REACH, REACH), strict=True))
    left, right = sorted((low, high))
    return (
        f'<svg class="mini" viewBox="0 0 {WIDTH} 16" aria-hidden="true">'
        f'<path class="limit" d="M{WIDTH / 2:g} 0V16"/>'
        f'<path class="range" d="M{left:.1f} 8H{max(right, left + 1):.1f}"/>'
        f'<circle class="at" cx="{value:.1f}" cy="8" r="4"/></svg>'
    )


def _place(v: Verdict, end: float | None, default: float) -> float:
    """Where a value lies: the promised side of the limit is on the left."""
    shift = 1.0 if v.kind == "change" else 0.0
    if end is None:
        distance = REACH
    elif v.limit + shift <= 0 or end + shift <= 0:
        distance = default if end > v.limit else -REACH
    else:
        distance = math.log((end + shift) / (v.limit + shift))
    distance = max(-REACH, min(REACH, distance if v.at_most else -distance))
    return WIDTH / 2 * (1 + distance / REACH)


def requests(result: VerdictFile) -> str:
    """Every kind of request before and after: count, percentiles, errors, statuses, answers that differ."""
    if len(result.requests) < 2:
        return ""
    before, after = list(result.requests.values())[:2]
    rows = []
    for name, new in after.items():
        old = before.get(name)
        rows.append(
            {
                "request": escape(name),
                "count": f"{old.requests if old else 0:,} / {new.requests:,}",
                "P50 / P95 / P99 before": wording.percentiles(old.latency_ms) if old else "–",
                "after": wording.percentiles(new.latency_ms),
                "errors": f"{_errors(old)} → {_errors(new)}",
                "statuses": _statuses(old, new),
                "answers": escape(new.answers_differ) or "alike",
            }
        )
    return section("Requests", table(rows, words=("answers",), wide=("count",)), _unstable(result))


def _errors(found: RequestResult | None) -> str:
    return "–" if found is None or not found.requests else wording.amount(found.errors / found.requests, "ratio")


def _statuses(old: RequestResult | None, new: RequestResult) -> str:
    sides = [", ".join(side.statuses) if side is not None else "" for side in (old, new)]
    return sides[1] or "–" if sides[0] == sides[1] else f"{sides[0] or '–'} → {sides[1] or '–'}"


def _unstable(result: VerdictFile) -> str:
    if result.answers is None:
        return ""
    asked = f"{result.answers.asked} requests were asked of both sides, one at a time."
    named = "".join(
        f"<li>{escape(name)}: {escape(', '.join(places) or 'the body')}</li>"
        for name, places in result.answers.unstable.items()
    )
    if not named:
        return f"<p class=dim>{asked}</p>"
    return (
        f"<p class=dim>{asked} These differ when the same side is asked twice, so they are not judged; leave them out"
        f" with <code>[answers] leave_out</code>:</p><ul class=dim>{named}</ul>"
    )


def arms(result: VerdictFile) -> str:
    """What was measured of each arm, promised or not."""
    rows = []
    for name, found in result.arms.items():
        errors = ", ".join(f"{wording.amount(ratio, 'ratio')} at {rate}/s" for rate, ratio in found.error_ratio.items())
        rows.append(
            {
                "arm": escape(wording.arm(result, name)),
                "capacity": wording.amount(found.capacity_rps, "requests/s"),
                f"P50 / P95 / P99 at {found.at_rps or 0:g}/s": wording.percentiles(found.latency_ms),
                "errors under stress": errors or "–",
                "statements per request": wording.amount(found.db_statements_per_request, "statements/request"),
                "CPU": wording.amount(found.cpu_ratio, "cores"),
                "connections": str(found.db_connections if found.db_connections is not None else "–"),
            }
        )
    return section("Arms", table(rows))
