"""What was compared, kept with the run: texts, limits, revisions and the command, so that it can be audited and
repeated."""

import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from easymo.proof.errors import CannotCompare
from easymo.proof.system.acceptance import Acceptance
from easymo.proof.system.machine import git_revision
from easymo.proof.verdict.file import Change, read_verdict
from easymo.proof.verdict.promises import Promise

#: Values under such names are not written down.
_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL", re.IGNORECASE)
_IN_URL = re.compile(r"(://)[^/@\s]+@")


def change_of(acceptance: Acceptance, root: Path) -> Change:
    """The change that an acceptance file describes."""
    files = [name for treatment in acceptance.treatments.values() for name in (*treatment.files, *treatment.rollback)]
    return Change(
        command=_command(),
        files={name: (root / name).read_text(encoding="utf-8") for name in dict.fromkeys(files)},
        environment={
            name: _without_secrets(t.environment) for name, t in acceptance.treatments.items() if t.environment
        },
        scenario=acceptance.load.scenario,
        scenario_sha256=_hash(root / acceptance.load.scenario),
        limits=limits_of(acceptance.promises),
        revisions={"system": git_revision(root) or "no checkout"},
    )


def deployed_change(scenario: Path, addresses: Mapping[str, Sequence[str]], promises: Sequence[Promise]) -> Change:
    """Two deployments: what is known of them is where they are."""
    return Change(
        command=_command(),
        scenario=scenario.name,
        scenario_sha256=_hash(scenario),
        limits=limits_of(promises),
        revisions={"scenario": git_revision(scenario.resolve().parent) or "no checkout"},
        addresses={side: [_IN_URL.sub(r"\1", url) for url in urls] for side, urls in addresses.items()},
    )


def limits_of(promises: Sequence[Promise]) -> dict[str, float]:
    """The limit of each promise, its margin in it."""
    return {promise.id: promise.limit for promise in promises}


def command_of(run: Path) -> list[str]:
    """The arguments after `easymo prove` that made a run, without its `--out`.

    Raises :class:`ProofError` for a run that is not there or has no command, and for one whose scenario has changed.
    """
    change = read_verdict(run / "verdict.json" if run.is_dir() else run).change
    if change is None or not change.command:
        raise CannotCompare(f"{run} does not say how it was made: it is older than --repeat, or a program made it.")
    arguments = change.command[1:]
    where = Path(arguments[arguments.index("--acceptance") + 1] if "--acceptance" in arguments else "acceptance.toml")
    given = (
        Path(arguments[arguments.index("--scenario") + 1])
        if "--scenario" in arguments
        else where.parent / change.scenario
    )
    if not given.is_file() or _hash(given) != change.scenario_sha256:
        raise CannotCompare(
            f"The scenario {change.scenario} is not the one of {run} (or not below this folder), so this would be"
            " another run. Go to the folder and the revision of that run, which its report names."
        )
    return arguments


def _command() -> list[str]:
    """The command line from `prove` on, when it was one; without `--out` and without where this folder is."""
    words = [_IN_URL.sub(r"\1", word).replace(f"{Path.cwd()}/", "") for word in sys.argv]
    if "prove" not in words:
        return []
    words = words[words.index("prove") :]
    while "--out" in words:
        del words[words.index("--out") : words.index("--out") + 2]
    return words


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: "…" if _SECRET.search(name) else value for name, value in environment.items()}


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
