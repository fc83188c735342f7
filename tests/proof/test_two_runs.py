"""Two runs at different times, from their files: what may be said, and how plainly their weakness is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from easymo.cli.main import app
from easymo.proof.errors import CannotCompare, ProofError
from easymo.proof.session.folder import write_evidence
from easymo.proof.session.two_runs import UNPAIRED, compare_runs
from easymo.proof.verdict.file import VerdictFile
from easymo.proof.verdict.measurement import Round
from tests.proof.conftest import MakeRound

NOISE = (1.0, 1.02, 0.99, 1.01, 0.98, 1.0, 1.015, 0.985)
SaveRun = Callable[..., Path]


@pytest.fixture
def save_run(tmp_path: Path, a_verdict: VerdictFile, make_round: MakeRound) -> SaveRun:
    """``save_run(name, none_ms, both_ms, …)`` writes a run of eight pairs and returns its verdict.json."""

    def save(
        name: str, none_ms: float, both_ms: float, *, rounds: bool = True, at_rps: float = 50, **more: Any
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        arms = {arm: replace(result, at_rps=at_rps) for arm, result in a_verdict.arms.items()}
        write_evidence(replace(a_verdict, arms=arms, created=name, **more), folder)
        if rounds:
            played: list[Round] = []
            for pair, noise in enumerate(NOISE):
                played.append(make_round("none", pair=pair, latency_ms=none_ms * noise))
                played.append(make_round("both", pair=pair, latency_ms=both_ms / noise))
            played.append(make_round("both", "stress", latency_ms=999, rate_rps=156))
            (folder / "rounds.jsonl").write_bytes(b"\n".join(msgspec.json.encode(r) for r in played) + b"\n")
        return folder / "verdict.json"

    return save


def decided(before: Path, after: Path, out: Path) -> dict[str, tuple[str, str]]:
    """Verdict and reason of each promise."""
    result, _ = compare_runs(before, after, out)
    return {v.id: (v.verdict, v.reason) for v in result.promises}


def test_a_later_run_that_is_slower_for_certain_breaks_the_promise_not_to_be(save_run: SaveRun, tmp_path: Path) -> None:
    found = decided(save_run("monday", 20, 10), save_run("friday", 20, 13), tmp_path / "out")
    assert found["latency_p50"] == ("broken", "unpaired: 8 and 8 rounds")
    assert found["latency_p99"] == ("broken", "unpaired: 8 and 8 rounds")
    assert found["cpu_ratio"][0] == "kept", "no CPU more"
    assert found["error_ratio@156"][0] == "kept"


def test_a_later_run_that_is_as_fast_keeps_it(save_run: SaveRun, tmp_path: Path) -> None:
    found = decided(save_run("monday", 20, 10), save_run("friday", 20, 10), tmp_path / "out")
    assert found["latency_p50"][0] == "kept"


def test_the_arm_that_nobody_treated_must_not_have_moved(save_run: SaveRun, tmp_path: Path) -> None:
    found = decided(save_run("monday", 20, 10), save_run("friday", 30, 15), tmp_path / "out")
    verdict, reason = found["latency_p50"]
    assert verdict == "inconclusive"
    assert "the arm 'none', which no treatment touched, differs by +4" in reason


def test_different_machines_and_different_data_decide_nothing(
    save_run: SaveRun, a_verdict: VerdictFile, tmp_path: Path
) -> None:
    monday = save_run("monday", 20, 10)
    other = save_run("other machine", 20, 13, machine=replace(a_verdict.machine, cores=64))
    found = decided(monday, other, tmp_path / "out")
    assert {verdict for verdict, _ in found.values()} == {"inconclusive"}
    assert found["latency_p50"][1] == "the runs were on different machines (cores: 2 and 64)"
    more = save_run("more data", 20, 13, scale=replace(a_verdict.scale, name="large"))
    assert "different data" in decided(monday, more, tmp_path / "out2")["latency_p50"][1]


def test_latencies_at_other_rates_decide_nothing(save_run: SaveRun, tmp_path: Path) -> None:
    found = decided(save_run("monday", 20, 10), save_run("friday", 20, 13, at_rps=80), tmp_path / "out")
    assert found["latency_p50"] == ("inconclusive", "latencies of different loads: 50 and 80 requests/s")
    assert found["cpu_ratio"][0] == "kept"


def test_without_rounds_there_is_no_interval(save_run: SaveRun, tmp_path: Path) -> None:
    found = decided(save_run("monday", 20, 10, rounds=False), save_run("friday", 20, 13), tmp_path / "out")
    assert found["latency_p50"] == ("inconclusive", "no rounds.jsonl beside one of the files, so there is no interval")


def test_that_unpaired_runs_deserve_less_trust_is_said_first_and_everywhere(save_run: SaveRun, tmp_path: Path) -> None:
    before, after = save_run("monday", 20, 10), save_run("friday", 20, 13)
    kept = {file: file.read_bytes() for file in tmp_path.rglob("*.*") if file.is_file()}
    out = tmp_path / "out"
    shown = CliRunner().invoke(
        app,
        [
            "prove",
            "--before",
            str(before),
            "--after",
            str(after),
            "--out",
            str(out),
            "--summary",
            str(out / "summary.md"),
            "--gate",
        ],
    )
    assert shown.exit_code == 1, shown.stderr
    assert " ".join(shown.stdout.split()).startswith(UNPAIRED)
    verdict = json.loads((out / "verdict.json").read_text())
    assert verdict["compared"] == "runs"
    assert verdict["notes"][0] == UNPAIRED
    report = (out / "report.html").read_text()
    assert 0 < report.index("deserve less trust") < report.index("Verdicts"), "before any number"
    assert UNPAIRED in (out / "summary.md").read_text()
    assert {file: file.read_bytes() for file in kept} == kept, "the runs are only read"


def test_a_promise_whose_verdict_turned_is_named(save_run: SaveRun, a_verdict: VerdictFile, tmp_path: Path) -> None:
    turned = [replace(v, verdict="broken") if v.id == "orders-faster" else v for v in a_verdict.promises]
    result, _ = compare_runs(save_run("monday", 20, 10), save_run("friday", 20, 10, promises=turned), tmp_path / "out")
    assert [note for note in result.notes if "orders-faster" in note] == [
        f"Promise 'orders-faster' ({turned[0].claim}): kept before, broken after."
    ]


def test_files_that_are_no_runs_are_refused(save_run: SaveRun, tmp_path: Path) -> None:
    monday = save_run("monday", 20, 10)
    compare_runs(monday, save_run("friday", 20, 10), tmp_path / "out")
    with pytest.raises(CannotCompare, match="Name the runs themselves"):
        compare_runs(monday, tmp_path / "out" / "verdict.json", tmp_path / "out2")
    with pytest.raises(ProofError, match="No verdict at"):
        compare_runs(monday, tmp_path / "missing.json", tmp_path / "out2")
    (tmp_path / "friday" / "rounds.jsonl").write_text("{}\n")
    with pytest.raises(CannotCompare, match="holds something else than rounds"):
        compare_runs(monday, tmp_path / "friday" / "verdict.json", tmp_path / "out2")
    assert not (tmp_path / "out2").exists()


@pytest.mark.parametrize("void", ["monday", "friday"])
def test_a_void_run_on_either_side_makes_the_comparison_void(save_run: SaveRun, tmp_path: Path, void: str) -> None:
    runs = [save_run(name, 20, 10, valid=name != void) for name in ("monday", "friday")]
    result, _ = compare_runs(runs[0], runs[1], tmp_path / "out")
    assert not result.valid
    assert "One of the runs is void, so this comparison is too." in result.notes
