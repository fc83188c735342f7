"""Two deployments that already run: the same load on both. Nothing is started, nothing is changed."""

import os
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from easymo.load import ScenarioError, parse_targets
from easymo.proof.errors import CannotCompare
from easymo.proof.session import match
from easymo.proof.session.answers import ask_deployments
from easymo.proof.session.change import deployed_change
from easymo.proof.session.folder import new_folder, run_until_stopped, write_evidence
from easymo.proof.session.match import Match, Rules, looks_until
from easymo.proof.session.outcome import aa_intervals, arm_result, judged, notes_on_rounds, verdict_file
from easymo.proof.session.plan import ANSWERS_STEP, MOST_PAIRS, look_plan
from easymo.proof.session.progress import Plan, StepProgress
from easymo.proof.session.rounds import Load, Player, scenario_environment
from easymo.proof.session.sides import Deployment
from easymo.proof.system.acceptance import read_acceptance
from easymo.proof.system.machine import describe_machine
from easymo.proof.verdict.file import Mode, Scale, VerdictFile
from easymo.proof.verdict.judge import Verdict, judge
from easymo.proof.verdict.measurement import Measurements
from easymo.proof.verdict.no_worse import few_errors, latencies_no_longer
from easymo.proof.verdict.promises import Promise

BEFORE, AFTER = "before", "after"
WARM_AT_MOST_S = 2.0
STRESS_ROUNDS = 2


class Terms(Struct, frozen=True, kw_only=True):
    """How two deployments are compared.

    `environment` is what the scenario finds in its environment where the caller has not exported something else.
    `promises` None: that nothing got worse. `left_out`: promises that cannot be seen from outside. `stress` are
    rates (requests/s) that promises name, each offered for `stress_s`. While more pairs could decide something, the
    comparison goes on until `most_pairs`. `duet`: both at the same time, request by request in turn.
    """

    system: str
    scenario: Path
    environment: dict[str, str] = {}
    promises: list[Promise] | None = None
    left_out: list[str] = []
    leave_out: list[str] = []
    seed: int = 1
    rate_rps: float = 50.0
    round_s: float = 2.0
    warm_up_s: float = 0.3
    pairs: int = 10
    most_pairs: int = 10
    aa_pairs: int = 4
    stress: list[int] = []
    stress_s: float = 10.0
    duet: bool = False

    def at(
        self,
        mode: Mode,
        rate_rps: float | None,
        round_s: float | None,
        *,
        budget_s: float | None = None,
        duet: bool = False,
    ) -> "Terms":
        """These terms for a quick, default or full run, at another rate, with other rounds, or within a budget."""
        terms = replace(self, rate_rps=rate_rps or self.rate_rps, round_s=round_s or self.round_s, duet=duet)
        if mode == "quick":
            few = replace(terms, pairs=3, most_pairs=3, aa_pairs=0, stress_s=1.0)
            return replace(few, round_s=min(terms.round_s, 1.5))
        # Sides that play at the same time share every disturbance; a budget goes into pairs, whose order is drawn.
        aa_pairs = 0 if duet or budget_s is not None else terms.aa_pairs
        most = 2 * terms.pairs if mode == "full" else terms.pairs
        if budget_s is not None:
            most = max(terms.pairs, min(int(budget_s / terms.pair_s), MOST_PAIRS))
        return replace(terms, most_pairs=most, aa_pairs=aa_pairs)

    @property
    def pair_s(self) -> float:
        """Seconds that a pair takes."""
        return (1 if self.duet else 2) * (self.round_s + self.warm_up_s + 0.1)

    @property
    def rules(self) -> Rules:
        """The match on these terms."""
        looks = looks_until(self.pairs, self.most_pairs)
        return Rules(self.rate_rps, self.round_s, looks, self.aa_pairs, min(self.round_s, WARM_AT_MOST_S), self.duet)


def terms_of_scenario(scenario: Path) -> Terms:
    """Terms for a scenario of which nothing was promised."""
    return Terms(system=f"Two deployments under {scenario.name}", scenario=scenario)


def terms_of_acceptance(file: Path, scenario: Path | None = None) -> Terms:
    """Terms of an `acceptance.toml`: its scenario, unless another is given, and what of its promises can be seen from
    outside: latency and errors. Raises :class:`AcceptanceError`.

    A capacity could only be found by overloading what may be in use, and the rest needs the machine of the system.
    """
    acceptance = read_acceptance(file)
    seen = [p for p in acceptance.promises if p.of.share is not None or p.of.how == "errors"]
    return Terms(
        system=acceptance.system.name,
        scenario=scenario or file.resolve().parent / acceptance.load.scenario,
        environment=scenario_environment(acceptance, acceptance.system.scale),
        promises=seen,
        left_out=[p.id for p in acceptance.promises if p not in seen],
        leave_out=acceptance.answers.leave_out,
        seed=acceptance.system.seed,
        round_s=acceptance.load.round_s,
        warm_up_s=acceptance.load.warm_up_s,
        pairs=acceptance.load.pairs,
        most_pairs=acceptance.load.pairs,
        aa_pairs=acceptance.load.aa_pairs,
        stress=[rate for rate in acceptance.stress.rates if any(p.of.rate_rps == rate for p in seen)],
        stress_s=acceptance.stress.seconds,
    )


def compare_deployments(
    before: Sequence[str], after: Sequence[str], terms: Terms, out: Path | None, *, mode: Mode
) -> tuple[VerdictFile, Path]:
    """Compare and judge; returns the verdicts and the folder that holds the evidence.

    `before` and `after` are URLs, `NAME=URL` each where the scenario names several processes. Raises
    :class:`CannotCompare`, :class:`RunVoid` or :class:`Stopped`.
    """
    try:
        urls = {
            side: {name: target.url for name, target in parse_targets(given).items()}
            for side, given in ((BEFORE, before), (AFTER, after))
        }
    except ScenarioError as error:
        raise CannotCompare(str(error)) from error
    if not terms.scenario.is_file():
        raise CannotCompare(f"There is no scenario file {terms.scenario}: name a Python file that exports `scenario`.")
    folder = new_folder(out, Path())
    began = time.monotonic()
    with StepProgress(_plan(terms)) as progress:
        player = run_until_stopped(_played(terms, urls, folder, progress))
    result = _conclude(terms, player, urls, mode, time.monotonic() - began)
    write_evidence(result, folder)
    return result, folder


def _plan(terms: Terms) -> Plan:
    rules = terms.rules
    return [
        (match.WARM, 2 * (rules.warm_s + terms.warm_up_s + 0.7)),
        (ANSWERS_STEP, 6),
        (match.ITSELF, terms.aa_pairs * terms.pair_s),
        *look_plan(rules.looks, terms.pair_s),
        *([(match.STRESS, 2 * len(terms.stress) * (terms.stress_s + 2))] if terms.stress else []),
    ]


async def _played(
    terms: Terms, urls: Mapping[str, Mapping[str, str]], folder: Path, progress: StepProgress
) -> tuple[Player, float]:
    """Play every round; raises :class:`RunVoid` or :class:`CannotCompare`."""
    # What the caller has exported comes first: the keys of acceptance.toml are those of scratch systems.
    environment = {**terms.environment, **os.environ}
    load = Load(str(terms.scenario.resolve()), Path.cwd(), environment, terms.seed, terms.warm_up_s)
    sides = [Deployment(name, addresses) for name, addresses in urls.items()]
    # Idempotency keys of an earlier run are still in the deployments' databases.
    async with Player(load, folder / "rounds.jsonl", f"{secrets.token_hex(4)}-") as player:
        played = Match(player, sides, terms.rules)
        with progress.step(match.WARM):
            await played.warm_alike()
        with progress.step(ANSWERS_STEP):
            player.measured.answers = await ask_deployments(urls[BEFORE], urls[AFTER], load, terms.leave_out)
        with progress.step(match.ITSELF):
            await played.against_itself()
        await played.compare(lambda measured, at: _judge(terms, measured, at), progress)
        if terms.stress:
            with progress.step(match.STRESS):
                await played.stress(terms.stress, terms.stress_s / STRESS_ROUNDS, STRESS_ROUNDS)
    return player, played.confidence


def _promises(terms: Terms, measured: Measurements) -> list[Promise]:
    if terms.promises is not None:
        return terms.promises
    return [*latencies_no_longer(measured.rounds), *few_errors()]


def _judge(terms: Terms, measured: Measurements, confidence: float) -> list[Verdict]:
    return judge(_promises(terms, measured), measured, BEFORE, AFTER, confidence)


def _conclude(
    terms: Terms,
    found: tuple[Player, float],
    urls: Mapping[str, Mapping[str, str]],
    mode: Mode,
    seconds: float,
) -> VerdictFile:
    player, confidence = found
    measured, promises = player.measured, _promises(terms, player.measured)
    named = {arm: [f"{name}={url}" if name else url for name, url in urls[arm].items()] for arm in urls}
    notes = [f"{arm}: {', '.join(addresses)}." for arm, addresses in named.items()]
    notes.append("Nothing was started, changed or taken back; what the scenario writes stays.")
    if terms.duet:
        notes.append(
            "A duet: both at the same time, request by request in turn. It is for changes that do not free the machine"
            " for their rival."
        )
    if terms.left_out:
        notes.append(f"Not visible from outside, so not judged: {', '.join(terms.left_out)}.")
    return verdict_file(
        mode=mode,
        machine=describe_machine("database not asked", "cache not asked"),
        scale=Scale("", terms.seed, {}),
        arms={arm: arm_result(measured, arm, terms.rate_rps) for arm in urls},
        system=terms.system,
        aa=aa_intervals(measured, BEFORE, AFTER),
        notes=[*notes, *notes_on_rounds(measured)],
        seconds=seconds,
        compared="deployments",
        change=deployed_change(terms.scenario, named, promises),
        **judged(promises, measured, BEFORE, AFTER, confidence),
    )
