"""Documents: their links lead somewhere, their commands exist, their numbers come from the evidence."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.proof.made import made_verdict
from tests.repo import documents
from tests.repo.claims import read_claims

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_tracked_file(page: Path) -> None:
    tracked = set(
        subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    )
    folders = {str(parent) for name in tracked for parent in Path(name).parents}
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if not link.startswith(("http://", "https://")):
            target = str((page.parent / link).resolve().relative_to(ROOT))
            assert target in tracked | folders, f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets


def test_the_first_link_of_the_readme_is_the_note_with_true_numbers() -> None:
    assert LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))[0] == "docs/performance.md"


def test_the_note_is_kept_with_its_headings_in_their_order() -> None:
    """The headings of the performance note of 2025-11-29."""
    headings = [
        "Summary",
        "Optimizations Implemented",
        "1. Database Performance (BIGGEST IMPACT)",
        "2. Horizontal Pod Autoscaling",
        "3. Redis Caching Strategy",
        "Expected Performance Improvements",
        "Before Optimization (Load Test Baseline)",
        "After Optimization (Projected)",
        "Cost Impact",
        "Deployment Instructions",
        "1. Deploy Database Migrations",
        "2. Deploy Autoscaling Policies",
        "3. Deploy Redis Cache",
        "4. Rollout to Services",
        "Verification & Testing",
        "Post-Deployment Checks",
        "Expected Improvements",
        "Implementation Example: Voice Bridge with Caching",
        "Rollback Plan",
        "Monitoring Dashboard",
        "Acceptance Criteria",
        "Next Steps",
        "Immediate (Post-Deployment)",
        "Short-term (This Week)",
        "Long-term (This Month)",
    ]
    text = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    found = [heading for heading in re.findall(r"^#{2,3} (.+)$", text, re.MULTILINE) if heading in headings]
    assert found == headings


def test_filling_replaces_what_stood_in_a_block_and_nothing_else() -> None:
    text = "before\n<!-- measured: promise impossible -->\nold\n<!-- /measured -->\nafter\n"
    filled = documents.fill(text, made_verdict())
    assert filled.startswith("before\n<!-- measured: promise impossible -->\n**the claim of impossible")
    assert "287 ms → 150 ms" in filled
    assert "broken" in filled
    assert filled.endswith("\n<!-- /measured -->\nafter\n")
    assert "old" not in filled
    assert documents.fill(filled, made_verdict()) == filled


def test_every_block_of_the_documents_can_be_filled() -> None:
    known = {"verdicts", "arms", "machine", "indexes", "rollback"}
    known |= {f"claims {claim.heading}" for claim in read_claims()}
    sources = set(re.findall(r'^source = "(.+)"$', (ROOT / "acceptance.toml").read_text(), re.MULTILINE))
    promised = set(re.findall(r'^id = "(.+)"$', (ROOT / "acceptance.toml").read_text(), re.MULTILINE))
    for name in documents.DOCUMENTS:
        for block in documents.BLOCK.finditer((ROOT / name).read_text(encoding="utf-8")):
            name = block["name"]
            if name.startswith("verdicts of "):
                assert set(name.removeprefix("verdicts of ").split(" + ")) <= sources, name
            else:
                assert name in known or name.removeprefix("promise ") in promised, name
