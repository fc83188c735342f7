"""The terms on which two deployments are compared: scenario, promises, rate, and how long."""

from pathlib import Path

import msgspec
from msgspec import Struct

from easymo.proof.session.rounds import scenario_environment
from easymo.proof.system.acceptance import read_acceptance
from easymo.proof.verdict.file import Mode
from easymo.proof.verdict.promises import ERROR_RATIO, LATENCY, Promise


class Terms(Struct, frozen=True, kw_only=True):
    """How two deployments are compared.

    ``environment`` is what the scenario finds in its environment where the caller has not exported something else.
    ``promises`` None: that nothing got worse. ``left_out``: promises that cannot be seen from outside. ``stress`` are
    rates (requests/s) that promises name, each offered for ``stress_s``.
    """

    system: str
    scenario: Path
    environment: dict[str, str] = {}
    promises: list[Promise] | None = None
    left_out: list[str] = []
    seed: int = 1
    rate_rps: float = 50.0
    round_s: float = 4.0
    warm_up_s: float = 0.5
    pairs: int = 10
    aa_pairs: int = 4
    looks: int = 1
    stress: list[int] = []
    stress_s: float = 10.0

    @property
    def confidence(self) -> float:
        """Confidence at which each look decides: with two looks each has half of the 5 % to be wrong in."""
        return 0.95 if self.looks == 1 else 0.975

    def at(self, mode: Mode, rate_rps: float | None, round_s: float | None) -> "Terms":
        """These terms for a quick, default or full run, at another rate or with rounds of another length."""
        terms = msgspec.structs.replace(
            self, rate_rps=rate_rps or self.rate_rps, round_s=round_s or self.round_s, looks=2 if mode == "full" else 1
        )
        if mode != "quick":
            return terms
        return msgspec.structs.replace(terms, pairs=3, aa_pairs=0, round_s=min(terms.round_s, 1.5), stress_s=1.0)


def terms_of_scenario(scenario: Path) -> Terms:
    """Terms for a scenario of which nothing was promised."""
    return Terms(system=f"Two deployments under {scenario.name}", scenario=scenario)


def terms_of_acceptance(file: Path, scenario: Path | None = None) -> Terms:
    """Terms of an ``acceptance.toml``: its scenario, unless another is given, and what of its promises can be seen from
    outside: latency and errors. Raises :class:`AcceptanceError`.

    A capacity could only be found by overloading what may be in use, and the rest needs the machine of the system.
    """
    acceptance = read_acceptance(file)
    seen = [p for p in acceptance.promises if LATENCY.match(p.metric) or ERROR_RATIO.match(p.metric)]
    return Terms(
        system=acceptance.system.name,
        scenario=scenario or file.resolve().parent / acceptance.load.scenario,
        environment=scenario_environment(acceptance, acceptance.system.scale),
        promises=seen,
        left_out=[p.id for p in acceptance.promises if p not in seen],
        seed=acceptance.system.seed,
        round_s=acceptance.load.round_s,
        warm_up_s=acceptance.load.warm_up_s,
        pairs=acceptance.load.pairs,
        aa_pairs=acceptance.load.aa_pairs,
        stress=[rate for rate in acceptance.stress.rates if any(p.metric == f"error_ratio@{rate}" for p in seen)],
        stress_s=acceptance.stress.seconds,
    )
