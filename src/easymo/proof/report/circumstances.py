"""What stands around the numbers: applying and taking back, machine, versions, data, noise, how to repeat it."""

from html import escape

from easymo.proof import wording
from easymo.proof.report.parts import row, table
from easymo.proof.verdict_file import VerdictFile


def applied(result: VerdictFile) -> str:
    """What applying and taking back cost; nothing where nothing was applied."""
    if result.compared != "treatments":
        return ""
    parts = [
        f"<p>Taken back in {result.rollback.seconds:.1f} s; schema "
        f"{'equal to the one before' if result.rollback.schema_restored else '<strong>not</strong> restored'}.</p>"
    ]
    if result.applied is not None:
        parts.append(f"<p>Applied in {result.applied.seconds:.1f} s while the system was under load.</p>")
        rows = [
            row(
                [
                    ("index", escape(i.name), ""),
                    ("build", f"{i.seconds:.2f} s", "n"),
                    ("size", f"{i.bytes / 1e6:.1f} MB", "n"),
                ]
            )
            for i in result.applied.indexes
        ]
        if rows:
            parts.append(table(["index", "build", "size"], rows))
    return f"<h2>Applying and taking back</h2>{''.join(parts)}"


def circumstances(result: VerdictFile) -> str:
    """Where, when, on what data, with which seeds, and how to repeat it."""
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
    if result.compared != "treatments":
        facts |= {"repeat": f"easymo prove --before … --after …, with the same {result.compared}"}
        del facts["commit"], facts["data"]  # of neither side anything is known but what it answers
    rows = [row([("", escape(name), ""), ("", escape(value), "")]) for name, value in facts.items()]
    if result.compared != "treatments":
        return f"<h2>Circumstances</h2>{table(['', ''], rows)}"
    indexes = "".join(f"<li><code>{escape(definition)}</code></li>" for definition in result.baseline_indexes)
    return f"<h2>Circumstances</h2>{table(['', ''], rows)}<h2>Indexes of the baseline</h2><ul>{indexes}</ul>"
