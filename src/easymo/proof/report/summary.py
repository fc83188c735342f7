"""The first thing that anybody reads, in the terminal, in the Markdown summary and on the page alike."""

from collections.abc import Sequence

from easymo.proof.report import wording
from easymo.proof.verdict.file import VerdictFile
from easymo.proof.verdict.judge import Verdict

ORDER = {"broken": 0, "inconclusive": 1, "kept": 2}
_STATEMENT = ("db_statements_per_request", "queries")


def ordered(result: VerdictFile) -> list[Verdict]:
    """The promises: the broken ones first, then the undecided."""
    return sorted(result.promises, key=lambda verdict: ORDER[verdict.verdict])


def headline(result: VerdictFile) -> str:
    """One sentence: how many were kept, broken and left undecided, and what the change comes to."""
    counts = {name: sum(v.verdict == name for v in result.promises) for name in ("kept", "broken", "inconclusive")}
    counted = f"{counts['kept']} kept, {counts['broken']} broken, {counts['inconclusive']} undecided"
    said = [part for part in (_speed(result), _worst(result.promises)) if part]
    return f"{counted}: {subject(result)} {' and '.join(said)}." if said else f"{counted}."


def subject(result: VerdictFile) -> str:
    """What was compared with what was before."""
    if result.compared == "deployments":
        return "the deployment after"
    return "the later run" if result.compared == "runs" else "the change"


def changed(result: VerdictFile) -> list[str]:
    """What was changed, a line each; empty where nobody knows."""
    found = result.change
    if found is None:
        return []
    lines = [f"{name}: {key}={value}" for name, values in found.environment.items() for key, value in values.items()]
    for name, text in found.files.items():
        statements = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("--")]
        lines.append(
            f"{name}: {len(statements)} lines of SQL" if len(statements) > 1 else f"{name}: {' '.join(statements)}"
        )
    lines += [f"{side}: {', '.join(urls)}" for side, urls in found.addresses.items()]
    return lines


def warnings(result: VerdictFile) -> list[str]:
    """What must be known before any number is read."""
    found = []
    if result.compared == "runs":
        found.append(result.notes[0])
    if result.mode == "quick":
        found.append("A quick run is a smoke test: its numbers decide nothing.")
    if not result.valid:
        found.append("The schema was not restored, so the run is void.")
    for arm, trend in result.trends.items():
        found.append(f"The P50 of {wording.arm(result, arm)} went by {wording.percent(trend)} during the comparison.")
    return found


def _speed(result: VerdictFile) -> str:
    """How much faster or slower the P50 of all requests became, where that is certain."""
    for verdict in result.promises:
        if verdict.metric == "latency_p50" and verdict.change is not None and verdict.interval is not None:
            if verdict.reason.startswith("void"):
                return "is not judged by its speed"
            if verdict.kind == "change" and None not in verdict.interval:
                low, high = (end or 0.0 for end in verdict.interval)
                if low <= 0 <= high:
                    return f"leaves the P50 as it was ({wording.percent(low)} … {wording.percent(high)})"
            factor = 1 + verdict.change
            return f"makes it {1 / factor:.1f} × faster" if factor < 1 else f"makes it {factor:.1f} × slower"
    return ""


def _worst(promises: Sequence[Verdict]) -> str:
    """The first broken promise, in its own words."""
    broken = [verdict for verdict in promises if verdict.verdict == "broken"]
    for verdict in broken:
        if verdict.metric == "same_answers":
            return f"does not give the same answers ({verdict.reason.split(';')[0]})"
    if not broken:
        return ""
    first = min(broken, key=lambda verdict: (not verdict.guard, verdict.kind == "level"))
    return f"breaks “{first.claim}”"
