"""A result for other programs: a CSV table, and the text format of Prometheus."""

import csv
import io
from collections.abc import Iterable

from easymo.load.distribution import at_shares
from easymo.load.result import LoadResult, Tally

_SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)


def as_csv(result: LoadResult, percentiles: Iterable[float]) -> str:
    """A line for each request name and one for all together; times in ms, empty where nothing was answered."""
    percentiles = list(percentiles)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    named = [f"p{percentile:g}_ms" for percentile in percentiles]
    rows.writerow(["request", "requests", "rate_rps", "errors", "body_bytes", *named, "max_ms", "mean_ms"])
    whole = Tally(result.requests, sum(result.errors.values()), result.latency_ms)
    for name, tally in {**result.per_request, "(all)": whole}.items():
        times = tally.latency_ms
        figures = [*at_shares(times, [p / 100 for p in percentiles]), times.max, times.mean] if times else []
        shown = [f"{ms:.3f}" for ms in figures] or [""] * (len(percentiles) + 2)
        answered = [a for key, a in result.answers.items() if name in (key, "(all)")]
        size = sum(answers.body_bytes for answers in answered)
        rows.writerow([name, tally.requests, f"{tally.requests / result.duration_s:.3f}", tally.errors, size, *shown])
    return text.getvalue()


def as_prometheus(result: LoadResult) -> str:
    """What a Pushgateway or a textfile collector takes: counts, and latencies as a summary in seconds."""
    lines = ["# TYPE easymo_load_requests gauge"]
    lines += [f'easymo_load_requests{{request="{_label(n)}"}} {t.requests}' for n, t in result.per_request.items()]
    lines += ["# TYPE easymo_load_errors gauge"]
    lines += [f'easymo_load_errors{{kind="{kind}"}} {count}' for kind, count in result.errors.items()]
    lines += ["# TYPE easymo_load_responses gauge"]
    for name, answers in result.answers.items():
        for status, count in answers.statuses.items():
            lines.append(f'easymo_load_responses{{request="{_label(name)}",status="{status}"}} {count}')
    lines += ["# TYPE easymo_load_latency_seconds summary"]
    for name, tally in result.per_request.items():
        if times := tally.latency_ms:
            label = f'request="{_label(name)}"'
            for share, ms in zip(_SHARES, at_shares(times, _SHARES), strict=True):
                lines.append(f'easymo_load_latency_seconds{{{label},quantile="{share:g}"}} {ms / 1000:.6f}')
            lines.append(f"easymo_load_latency_seconds_sum{{{label}}} {times.mean * times.count / 1000:.6f}")
            lines.append(f"easymo_load_latency_seconds_count{{{label}}} {times.count}")
    lines += ["# TYPE easymo_load_duration_seconds gauge", f"easymo_load_duration_seconds {result.duration_s:g}"]
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
