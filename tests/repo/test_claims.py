"""Every row of the note is answered, once, where it belongs."""

import re
from pathlib import Path

import pytest

from easymo.proof.system.acceptance import read_acceptance
from tests.proof.made import made_verdict
from tests.repo import claims, documents

ROOT = Path(__file__).parents[2]
ROWS = 73


def test_all_seventy_three_rows_are_there_once() -> None:
    assert sorted(int(claim.id.removeprefix("S")) for claim in claims.read_claims()) == list(range(1, ROWS + 1))


def test_the_rows_are_those_that_were_asked_for() -> None:
    asked = ROOT.parent / "shared/facts/platform.md"
    if not asked.is_file():
        pytest.skip("the list that the rows were taken from is not beside this repository, so it is not compared")
    rows = re.findall(r"^\| (S\d+) \|", asked.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(claim.id for claim in claims.read_claims())


def test_every_row_has_an_answer_a_remark_one_that_says_what_is_right() -> None:
    for claim in claims.read_claims():
        assert claim.promises or claim.criterion or claim.remark, claim.id
        assert not claim.remark or (claim.found and not claim.promises), f"{claim.id}: a remark is no verdict"


def test_what_a_row_names_stands_in_the_acceptance_file() -> None:
    acceptance = read_acceptance(ROOT / "acceptance.toml")
    promises, criteria = {p.id for p in acceptance.promises}, {c.criterion for c in acceptance.criteria}
    for claim in claims.read_claims():
        assert set(claim.promises) <= promises, claim.id
        assert not claim.criterion or claim.criterion in criteria, claim.id
    named = {name for claim in claims.read_claims() for name in claim.promises}
    assert promises - named == set(), "a promise that no row of the note makes"


def test_every_row_stands_on_the_page_under_its_heading() -> None:
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    for claim in claims.read_claims():
        section = re.split(rf"^#{{2,3}} {re.escape(claim.heading)}$", page, maxsplit=1, flags=re.MULTILINE)[1]
        section = re.split(r"^#{2,3} ", section, maxsplit=1, flags=re.MULTILINE)[0]
        assert f"\n| {claim.id} | {claim.claim} |" in section, claim.id
    assert len(re.findall(r"^\| S\d+ \|", page, re.MULTILINE)) == ROWS


def test_every_file_that_a_check_runs_is_there() -> None:
    for criterion in read_acceptance(ROOT / "acceptance.toml").criteria:
        for word in criterion.check:
            assert not re.match(r"(tests|k8s|evidence|monitoring)/", word) or (ROOT / word).exists(), word


def test_a_row_of_a_promise_shows_its_verdict_and_its_figures() -> None:
    row = claims.Claim("S0", "Summary", "a claim", promises=["impossible", "unmeasured"], found="and why.")
    told = claims.found(row, made_verdict().promises)
    assert told.startswith("**broken** the claim of impossible")
    assert "287 ms → 150 ms (−48 %)" in told
    assert told.endswith("unmeasured: not in the accepted run: and why.")


def test_a_block_of_claims_is_filled_from_the_list() -> None:
    filled = documents.fill("<!-- measured: claims Cost Impact -->\n<!-- /measured -->\n", made_verdict())
    assert re.findall(r"^\| (S\d+) \|", filled, re.MULTILINE) == ["S32", "S33"]
