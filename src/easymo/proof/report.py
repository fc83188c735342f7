"""One self-contained ``report.html``: no network, no script, readable on a phone, dark and light."""

from html import escape

from easymo.proof import wording
from easymo.proof.verdict_file import VerdictFile

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d0d7de; --dim: #57606a;
  --kept: #116329; --broken: #a40e26; --inconclusive: #7d4e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --line: #30363d; --dim: #9198a1;
  --kept: #56d364; --broken: #ff7b72; --inconclusive: #e3b341; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 64rem; padding: 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.2; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .4rem .5rem; vertical-align: top;
  border-bottom: 1px solid var(--line); } .n { text-align: right; } td.n { white-space: nowrap; }
.kept { color: var(--kept); } .broken { color: var(--broken); } .inconclusive { color: var(--inconclusive); }
.kept, .broken, .inconclusive { font-weight: 600; } .dim { color: var(--dim); font-size: .875rem; }
code { font-size: .875rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) { thead { display: none; } table, tbody { display: block; }
  tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  td { display: flex; justify-content: space-between; gap: 1rem; border: 0; overflow-wrap: anywhere;
    padding: .15rem 0; }
  td::before { content: attr(data-name); color: var(--dim); }
  td.n { white-space: normal; text-align: right; }
  td:first-child { display: block; font-weight: 600; } td:first-child::before { content: none; }
  td:first-child .dim { font-weight: 400; } }
"""


def render_report(result: VerdictFile) -> str:
    """The page for ``result``."""
    quick = "<p><strong>A quick run is a smoke test: its numbers decide nothing.</strong></p>"
    note = quick if result.mode == "quick" else ""
    heading = f"{escape(result.system)}: what was promised, what was measured"
    sections = [_verdicts(result), _arms(result), _attribution(result), _applied(result), _circumstances(result)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(result.system)}: before and after</title><style>{_STYLE}</style></head><body>"
        f"<h1>{heading}</h1>{note}{''.join(sections)}</body></html>\n"
    )


def _verdicts(result: VerdictFile) -> str:
    rows = []
    for v in result.promises:
        cells = [
            ("promise", f"{escape(v.claim)}<br><span class=dim>{escape(v.source)} · {escape(v.reason)}</span>", ""),
            ("before", wording.amount(v.before, v.unit), "n"),
            ("after", wording.amount(v.after, v.unit), "n"),
            ("change", wording.percent(v.change), "n"),
            ("95 % interval", wording.interval(v), "n"),
            ("verdict", f'<span class="{v.verdict}">{v.verdict}</span>', ""),
        ]
        rows.append(_row(cells))
    head = ["promise", "before", "after", "change", "95 % interval", "verdict"]
    return f"<h2>Verdicts</h2>{_table(head, rows)}"


def _arms(result: VerdictFile) -> str:
    rows = []
    for name, arm in result.arms.items():
        errors = ", ".join(f"{wording.amount(ratio, 'ratio')} at {rate}/s" for rate, ratio in arm.error_ratio.items())
        latency = " / ".join(wording.amount(arm.latency_ms.get(p), "ms") for p in ("p50", "p95", "p99"))
        cells = [
            ("arm", escape(name), ""),
            ("capacity", wording.amount(arm.capacity_rps, "requests/s"), "n"),
            (f"P50 / P95 / P99 at {arm.at_rps or 0:g}/s", latency, "n"),
            ("errors under stress", errors or "–", "n"),
            ("statements per request", wording.amount(arm.db_statements_per_request, "statements/request"), "n"),
            ("CPU", wording.amount(arm.cpu_ratio, "cores"), "n"),
            ("connections", str(arm.db_connections if arm.db_connections is not None else "–"), "n"),
        ]
        rows.append(_row(cells))
    head = ["arm", "capacity", "P50 / P95 / P99", "errors under stress", "statements per request", "CPU", "connections"]
    return f"<h2>Arms</h2>{_table(head, rows)}"


def _attribution(result: VerdictFile) -> str:
    """What each treatment brought; nothing where only one arm was treated, for then the verdicts say it."""
    if len(result.attribution) < 2:
        return ""
    metrics = list(dict.fromkeys(metric for changes in result.attribution.values() for metric in changes))
    rows = []
    for arm, changes in result.attribution.items():
        shown = {metric: " / ".join(map(wording.percent, estimate)) for metric, estimate in changes.items()}
        rows.append(_row([("arm", escape(arm), ""), *((m, shown.get(m, "–"), "n") for m in metrics)]))
    table = _table(["arm", *metrics], rows)
    return f"<h2>Each treatment alone, and all together</h2><p>Change / its 95 % interval.</p>{table}"


def _applied(result: VerdictFile) -> str:
    if result.compared != "treatments":
        return ""
    parts = [
        f"<p>Taken back in {result.rollback.seconds:.1f} s; schema "
        f"{'equal to the one before' if result.rollback.schema_restored else '<strong>not</strong> restored'}.</p>"
    ]
    if result.applied is not None:
        parts.append(f"<p>Applied in {result.applied.seconds:.1f} s while the system was under load.</p>")
        rows = [
            _row(
                [
                    ("index", escape(i.name), ""),
                    ("build", f"{i.seconds:.2f} s", "n"),
                    ("size", f"{i.bytes / 1e6:.1f} MB", "n"),
                ]
            )
            for i in result.applied.indexes
        ]
        if rows:
            parts.append(_table(["index", "build", "size"], rows))
    return f"<h2>Applying and taking back</h2>{''.join(parts)}"


def _circumstances(result: VerdictFile) -> str:
    machine = result.machine
    noise = [f"{metric} {wording.percent(lo)} … {wording.percent(hi)}" for metric, (lo, hi) in result.aa.items()]
    facts = {
        "created": result.created,
        "commit": result.git or "not a checkout",
        "machine": f"{machine.cpu}, {machine.cores} cores, {machine.memory_bytes / 1e9:.0f} GB, Linux {machine.kernel}",
        "versions": f"Python {machine.python}, {machine.postgres}, {machine.cache}",
        "data": f"scale {result.scale.name}, seed {result.scale.seed}: {wording.rows(result.scale.rows)}",
        "same arm against itself": ", ".join(noise) or "not measured",
        "notes": " ".join(result.notes) or "none",
        "repeat": "easymo prove",
    }
    rows = [_row([("", escape(name), ""), ("", escape(value), "")]) for name, value in facts.items()]
    if result.compared != "treatments":
        return f"<h2>Circumstances</h2>{_table(['', ''], rows)}"
    indexes = "".join(f"<li><code>{escape(definition)}</code></li>" for definition in result.baseline_indexes)
    return f"<h2>Circumstances</h2>{_table(['', ''], rows)}<h2>Indexes of the baseline</h2><ul>{indexes}</ul>"


def _row(cells: list[tuple[str, str, str]]) -> str:
    return (
        "<tr>"
        + "".join(f'<td class="{kind}" data-name="{escape(name)}">{body}</td>' for name, body, kind in cells)
        + "</tr>"
    )


def _table(head: list[str], rows: list[str]) -> str:
    numeric = {name for name in head if f'class="n" data-name="{escape(name)}' in "".join(rows)}
    names = "".join(f'<th scope=col class="{"n" if name in numeric else ""}">{escape(name)}</th>' for name in head)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
