"""What stands around the numbers: applying and taking back, machine, versions, data, noise, how to repeat it."""

from html import escape

from easymo.proof.report import wording
from easymo.proof.report.attribution import NAMES
from easymo.proof.report.parts import section, table
from easymo.proof.verdict.file import VerdictFile


def applied(result: VerdictFile) -> str:
    """What applying and taking back cost; nothing where nothing was applied."""
    if result.compared != "treatments":
        return ""
    parts = [
        f"<p>Taken back in {result.rollback.seconds:.1f} s; schema "
        f"{'equal to the one before' if result.rollback.schema_restored else '<strong>not</strong> restored'}.</p>"
    ]
    if result.applied is not None:
        cost = result.applied
        under = ""
        if cost.rate_rps is not None:
            waited = " / ".join(wording.amount(cost.latency_ms.get(p), "ms") for p in ("p50", "p95", "max"))
            under = f" of {cost.rate_rps:g} requests/s, which waited {waited} (P50 / P95 / longest)"
        parts.append(f"<p>Applied in {cost.seconds:.1f} s while the system was under load{under}.</p>")
    return section("Applying and taking back", *parts, folded=True)


def circumstances(result: VerdictFile) -> str:
    """Where, when, on what data, with which seeds, and how to repeat it."""
    machine = result.machine
    noise = [
        f"{NAMES.get(metric, metric)} {wording.percent(lo)} … {wording.percent(hi)}"
        for metric, (lo, hi) in result.aa.items()
    ]
    facts = {
        "created": result.created,
        "commit": result.git or "not a checkout",
        "machine": f"{machine.cpu}, {machine.cores} cores, {machine.memory_bytes / 1e9:.0f} GB, Linux {machine.kernel}",
        "versions": f"Python {machine.python}, {machine.postgres}, {machine.cache}",
        "data": f"scale {result.scale.name}, seed {result.scale.seed}: {wording.rows(result.scale.rows)}",
        "a side against itself": ", ".join(noise) or "not measured",
        "notes": " ".join(result.notes) or "none",
        "seeds": f"data {result.scale.seed}; rounds of one pair play one schedule, its seed is in rounds.jsonl",
        "repeat": _command(result),
    }
    if result.compared != "treatments":
        facts |= {"repeat": f"easymo prove --before … --after …, with the same {result.compared}"}
        del facts["commit"], facts["data"], facts["seeds"]  # of neither side anything is known but what it answers
    if result.change is not None:
        facts["scenario"] = f"{result.change.scenario}, SHA-256 {result.change.scenario_sha256[:16]}"
        facts["revisions"] = ", ".join(f"{side} {at}" for side, at in result.change.revisions.items())
        facts["command"] = f"easymo {' '.join(result.change.command)}" if result.change.command else "a program"
    found = table([{"": escape(name), " ": escape(value)} for name, value in facts.items()], words=" ")
    if result.compared != "treatments":
        return section("Circumstances", found, folded=True)
    indexes = "".join(f"<li><code>{escape(definition)}</code></li>" for definition in result.baseline_indexes)
    return section("Circumstances", found, folded=True) + section(
        "Indexes of the baseline", f"<ul>{indexes}</ul>" if indexes else "", folded=True
    )


def _command(result: VerdictFile) -> str:
    """The command that plays the same run again, in a checkout of its commit where that is known."""
    mode = "" if result.mode == "default" else f" --{result.mode}"
    checkout = f"git checkout {result.git.removesuffix('-dirty')} && " if result.git else ""
    changed = " (and the changes that were not committed)" if result.git and result.git.endswith("-dirty") else ""
    return f"{checkout}easymo prove{mode} --scale {result.scale.name}{changed}"
