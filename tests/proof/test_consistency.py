"""Two runs on one commit: a contradiction is one promise kept in the one and broken in the other, nothing less."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from easymo.proof.accepted.consistency import Different, compare, main, told
from easymo.proof.verdict.file import VerdictFile, write_json
from easymo.proof.verdict.judge import Decision


def with_verdicts(result: VerdictFile, *decisions: Decision) -> VerdictFile:
    promises = [replace(p, verdict=d) for p, d in zip(result.promises, decisions, strict=True)]
    return replace(result, promises=promises)


def test_a_run_agrees_with_itself(a_verdict: VerdictFile) -> None:
    found = compare(a_verdict, a_verdict)
    assert found.contradictions == []
    assert found.decided_alike == ["orders-faster", "impossible"]
    assert found.undecided == ["no-errors"]


def test_kept_and_broken_contradict_each_other_whichever_came_first(a_verdict: VerdictFile) -> None:
    one, other = with_verdicts(a_verdict, "kept", "kept", "kept"), with_verdicts(a_verdict, "kept", "broken", "kept")
    for first, second in ((one, other), (other, one)):
        (pair,) = compare(first, second).contradictions
        assert {pair[0].verdict, pair[1].verdict} == {"kept", "broken"}
        assert pair[0].id == pair[1].id == "impossible"
    assert "kept (−40 % … open), then broken" in told(compare(one, other))[0]


def test_an_inconclusive_verdict_contradicts_nothing(a_verdict: VerdictFile) -> None:
    sure, unsure = (
        with_verdicts(a_verdict, "kept", "broken", "kept"),
        with_verdicts(a_verdict, "inconclusive", "inconclusive", "inconclusive"),
    )
    assert compare(sure, unsure).contradictions == []
    assert len(compare(sure, unsure).undecided) == 3


@pytest.mark.parametrize(
    ("change", "what"),
    [({"git": "1" * 40}, "commits"), ({"mode": "full"}, "modes"), ({"promises": []}, "promises")],
)
def test_runs_of_different_things_are_not_laid_side_by_side(
    a_verdict: VerdictFile, change: dict[str, Any], what: str
) -> None:
    with pytest.raises(Different, match=f"different {what}.*make prove-twice"):
        compare(a_verdict, replace(a_verdict, **change))


def test_the_exit_code_tells_a_contradiction(
    a_verdict: VerdictFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    write_json(one, with_verdicts(a_verdict, "kept", "kept", "kept"))
    write_json(other, with_verdicts(a_verdict, "broken", "kept", "kept"))
    assert main([str(one), str(one)]) == 0
    assert main([str(one), str(other)]) == 1
    assert "1 kept in one run and broken in the other" in capsys.readouterr().out
    assert main([str(one)]) == 2
    assert main([str(one), str(tmp_path / "none.json")]) == 2
    assert "No verdict" in capsys.readouterr().err
