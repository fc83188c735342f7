"""The page on the four policies says what the evidence says."""

import json

from tests.hpa.documents import BLOCK, DOCUMENT, EVIDENCE, fill


def evidence() -> dict[str, object]:
    found: dict[str, object] = json.loads((EVIDENCE / "policies.json").read_text())
    return found


def test_every_simulated_number_of_the_page_is_that_of_the_evidence() -> None:
    text = DOCUMENT.read_text()
    assert fill(text, evidence()) == text, "run python -m tests.hpa.documents"
    assert len(BLOCK.findall(text)) == 10


def test_a_day_of_four_services_and_a_thousand_candidates_are_within_their_budgets() -> None:
    speed = json.loads((EVIDENCE / "speed.json").read_text())
    assert speed["syncs"] == 4 * 5760
    assert speed["day_of_four_services_s"] <= 0.5
    assert speed["tune_candidates"] >= 1000
    assert speed["tune_s_per_1000"] <= 60
