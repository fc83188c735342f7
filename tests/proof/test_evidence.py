"""Which run may become the accepted one, and what the acceptance table makes of it."""

import json
import re
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from easymo.cli.main import app
from easymo.proof.accepted import accept, evidence
from easymo.proof.accepted.evidence import EvidenceError, accept_run, accepted_verdict
from easymo.proof.accepted.history import read_history
from easymo.proof.errors import ProofError
from easymo.proof.prove import gate_exit_code
from easymo.proof.report.table import markdown_summary
from easymo.proof.session.folder import write_evidence
from easymo.proof.verdict.file import Mode, VerdictFile

SHOP = Path(__file__).parent / "other_system"


def run_folder(root: Path, name: str, verdict: VerdictFile, mode: Mode = "default", *, valid: bool = True) -> Path:
    folder = root / "runs" / name
    folder.mkdir(parents=True)
    write_evidence(replace(verdict, mode=mode, valid=valid, created=name), folder)
    (folder / "rounds.jsonl").write_text("{}\n")
    (folder / "logs").mkdir()
    return folder


def test_the_last_valid_run_is_taken(tmp_path: Path, a_verdict: VerdictFile) -> None:
    run_folder(tmp_path, "1", a_verdict)
    taken = run_folder(tmp_path, "2", a_verdict)
    run_folder(tmp_path, "3", a_verdict, "quick")
    run_folder(tmp_path, "4", a_verdict, valid=False)
    assert accept_run(tmp_path, None, force=False) == taken
    assert accepted_verdict(tmp_path).created == "2"
    kept = {file.name for file in (tmp_path / "evidence" / "prove").iterdir()}
    assert kept == {"verdict.json", "report.html", "rounds.jsonl"}, "logs stay where they are"


def test_a_comparison_of_deployments_is_never_the_accepted_proof(tmp_path: Path, a_verdict: VerdictFile) -> None:
    run = run_folder(tmp_path, "1", replace(a_verdict, compared="deployments"))
    with pytest.raises(EvidenceError, match="it compared deployments"):
        accept_run(tmp_path, run, force=True)
    with pytest.raises(EvidenceError, match="No valid run"):
        accept_run(tmp_path, None, force=True)
    report = (run / "report.html").read_text()
    assert "Taken back" not in report
    assert "Indexes of the baseline" not in report


@pytest.mark.parametrize(("mode", "valid"), [("quick", True), ("default", False), ("full", False)])
def test_a_quick_or_void_run_is_never_accepted(tmp_path: Path, a_verdict: VerdictFile, mode: Mode, valid: bool) -> None:
    run = run_folder(tmp_path, "1", a_verdict, mode, valid=valid)
    with pytest.raises(EvidenceError):
        accept_run(tmp_path, run, force=True)
    assert not (tmp_path / "evidence").exists()


def test_a_default_run_replaces_a_full_one_only_by_force(tmp_path: Path, a_verdict: VerdictFile) -> None:
    accept_run(tmp_path, run_folder(tmp_path, "1", a_verdict, "full"), force=False)
    default = run_folder(tmp_path, "2", a_verdict)
    with pytest.raises(EvidenceError, match="FORCE=1"):
        accept_run(tmp_path, default, force=False)
    assert accepted_verdict(tmp_path).mode == "full"
    accept_run(tmp_path, default, force=True)
    assert accepted_verdict(tmp_path).mode == "default"


def test_each_accepted_run_adds_one_line_to_the_history(tmp_path: Path, a_verdict: VerdictFile) -> None:
    for name in ("1", "2"):
        accept_run(tmp_path, run_folder(tmp_path, name, a_verdict), force=False)
    lines = [json.loads(line) for line in (tmp_path / evidence.HISTORY).read_text().splitlines()]
    assert [line["created"] for line in lines] == ["1", "2"]
    assert lines[0]["promises"] == {v.id: v.verdict for v in a_verdict.promises}
    assert lines[0]["capacities"] == {"none": 100.0, "both": 400.0}


def test_nothing_to_accept_is_said(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="easymo prove"):
        accept_run(tmp_path, None, force=False)


def test_the_gate_fails_on_a_broken_promise_before_an_undecided_one(a_verdict: VerdictFile) -> None:
    kept, broken, open_ = a_verdict.promises
    assert gate_exit_code(a_verdict) == 1
    assert gate_exit_code(replace(a_verdict, promises=[kept, open_])) == 4
    assert gate_exit_code(replace(a_verdict, promises=[kept])) == 0
    assert broken.verdict == "broken"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHOP, tmp_path / "shop"))


def test_accept_runs_the_checks_and_looks_the_promises_up(shop: Path, a_verdict: VerdictFile) -> None:
    accept_run(shop, run_folder(shop, "1", a_verdict), force=False)
    rows = accept.check_all(shop / "acceptance.toml")
    assert [(row.what, row.state) for row in rows] == [
        ("The shop is closed on Sundays", "does not hold"),
        ("orders-faster", "holds"),
        ("impossible", "does not hold"),
        ("no-errors", "undecided"),
    ]
    assert rows[0].detail == "open on Sundays"
    assert accept.exit_code(rows) == 1
    assert accept.exit_code([rows[1], rows[3]]) == 4
    assert accept.exit_code([rows[1]]) == 0


def test_a_promise_without_an_accepted_run_is_undecided(shop: Path) -> None:
    rows = accept.check_all(shop / "acceptance.toml")
    assert {row.state for row in rows[1:]} == {"undecided"}


def test_accept_prints_json_and_exits_with_the_state(shop: Path) -> None:
    result = CliRunner().invoke(app, ["accept", "--json", "--acceptance", str(shop / "acceptance.toml")])
    rows = json.loads(result.stdout)
    assert result.exit_code == 1
    assert rows[0]["check"].startswith("{python}")


def test_an_evidence_file_of_another_form_is_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "evidence" / "prove"
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text('{"schema": 99}')
    with pytest.raises(Exception, match="no verdict of schema 1"):
        accepted_verdict(tmp_path)


def test_the_history_shows_every_accepted_run(
    tmp_path: Path, a_verdict: VerdictFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("2026-01-05", "2026-04-05"):
        accept_run(tmp_path, run_folder(tmp_path, name, a_verdict), force=False)
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["history"])
    assert shown.exit_code == 0
    assert shown.stdout.index("2026-01-05") < shown.stdout.index("2026-04-05")
    assert "400/s" in shown.stdout
    runs = json.loads(CliRunner().invoke(app, ["history", "--json"]).stdout)
    assert [run["promises"]["impossible"] for run in runs] == ["broken", "broken"]


def test_the_review_page_shows_verdicts_and_figures_of_every_run(
    tmp_path: Path, a_verdict: VerdictFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("2026-01-05", "2026-04-05"):
        accept_run(tmp_path, run_folder(tmp_path, name, a_verdict), force=False)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["history", "--html", "review.html"]).exit_code == 0
    page = (tmp_path / "review.html").read_text(encoding="utf-8")
    assert page.count('class="chart"') == 3
    assert "Capacity over 2 accepted runs: none from 100/s to 100/s; both from 400/s to 400/s." in page
    assert page.count('<span class="broken">') == 2
    assert not re.search(r"<script|src=|https?://", page)
    refused = CliRunner().invoke(app, ["history", "--html", "no-such-folder/review.html"])
    assert refused.exit_code == 2
    assert "cannot be written" in refused.output


def test_a_line_from_before_the_figures_were_kept_is_still_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evidence").mkdir()
    line = {
        "created": "2025-12-01T00:00:00+00:00",
        "git": None,
        "promises": {"p50": "kept"},
        "capacities": {"none": 9.0},
    }
    (tmp_path / evidence.HISTORY).write_text(json.dumps(line) + "\n")
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["history", "--html", "review.html"]).exit_code == 0
    assert (tmp_path / "review.html").read_text(encoding="utf-8").count('class="chart"') == 1


def test_an_empty_history_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / evidence.HISTORY).write_text("")
    with pytest.raises(Exception, match="no run yet"):
        read_history(tmp_path)


def test_a_damaged_history_names_the_line(tmp_path: Path, a_verdict: VerdictFile) -> None:
    accept_run(tmp_path, run_folder(tmp_path, "1", a_verdict), force=False)
    with (tmp_path / evidence.HISTORY).open("a") as file:
        file.write("{not json\n")
    with pytest.raises(ProofError, match="line 2 is damaged"):
        read_history(tmp_path)


def test_the_summary_for_a_pull_request_says_why_a_promise_is_open(a_verdict: VerdictFile) -> None:
    text = markdown_summary(a_verdict)
    assert "| broken |" in text
    assert "- the claim of no-errors, which is a long one: P95 287 → ~150 ms: 10 pairs" in text
