"""Rounds made up for the judge: it must not care where they come from."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from easymo.load.distribution import distribution
from easymo.load.result import LoadResult, Tally
from easymo.proof.verdict.file import VerdictFile
from easymo.proof.verdict.measurement import Phase, Resources, Round
from tests.proof.made import made_verdict

SHOP = Path(__file__).parent / "other_system"
MakeRound = Callable[..., Round]


@pytest.fixture
def make_round() -> MakeRound:
    """``make_round(arm, phase, pair, latency_ms=…, requests=…, errors=…)``: every request took the same time."""

    def make(
        arm: str,
        phase: Phase = "compare",
        pair: int = 0,
        *,
        latency_ms: float = 10.0,
        requests: int = 2000,
        errors: int = 0,
        rate_rps: float = 100.0,
        statements: float | None = 2.0,
        void: str | None = None,
    ) -> Round:
        times = distribution([int(latency_ms * 1e6)] * requests)
        load = LoadResult(
            seed=1,
            salt="1",
            duration_s=4.0,
            requests=requests,
            sent=requests,
            rate_rps=rate_rps,
            goodput_rps=rate_rps,
            error_ratio=errors / requests,
            errors={"timeout": errors} if errors else {},
            statuses={"2xx": requests - errors},
            latency_ms=times,
            service_ms=times,
            lateness_ms=times,
            void=void,
            per_request={"read": Tally(requests, errors, times)},
            timeline=[],
            reads=requests,
            repeated_reads=0,
            repeat_read_ratio=0.0,
            cpu_s=0.1,
            priority="normal",
        )
        return Round(arm, phase, pair, rate_rps, load, Resources(statements, 0.5, 1000, 4))

    return make


@pytest.fixture
def a_verdict() -> VerdictFile:
    """A verdict file with one promise of each kind of verdict."""
    return made_verdict()


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "state")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the shop, small, in a folder `shop` of it; nothing is indexed or promised."""
    shop = Path(shutil.copytree(SHOP, tmp_path / "repository" / "shop"))
    (shop / "data.sql").write_text((shop / "data.sql").read_text().replace("150000", "2000"))
    file = shop / "acceptance.toml"
    text = file.read_text().split("[stress]")[0]
    for old, new in (
        ("pairs = 3", "pairs = 6"),
        ("limit_rps = 400", "limit_rps = 200"),
        ("round_s = 1.5", "round_s = 2"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text)
    (shop / ".gitignore").write_text("runs/\n.venv/\n")
    git(shop.parent, "init", "--quiet", "--initial-branch=main", ".")
    commit(shop)
    return shop
