"""The pages that say where something is added name files that exist, and all of those that know a service by name."""

import re
import subprocess
from pathlib import Path

import pytest

from easymo_platform.operations.serve import SERVICES

ROOT = Path(__file__).parents[2]
PAGES = ("add-a-metric", "add-a-rule", "add-a-service")
_PATH = re.compile(r"`((?:src|tests|docs|k8s|supabase|monitoring)/[\w./-]+\.\w+|pyproject\.toml|acceptance\.toml)`")


def named(page: str) -> set[str]:
    return set(_PATH.findall((ROOT / "docs" / "howto" / f"{page}.md").read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    files = named(page)
    assert len(files) >= 4
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_the_map_names_files_that_are_there() -> None:
    files = set(_PATH.findall((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")))
    walk = [file for file in files if file.startswith("src/")]
    assert 10 <= len(walk) <= 15, "a walk from a promise to its verdict touches at most fifteen files"
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_no_other_file_knows_the_services_by_name() -> None:
    """A service that stands in a file which the page does not name would be forgotten by whoever adds the next one."""
    service = re.compile(r"video[-_]orchestrator")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    known = named("add-a-service")
    assert len(SERVICES) >= 4
    missed = []
    for name in tracked.decode().split("\0"):
        place = ROOT / name
        if not name.startswith(
            ("src/easymo_platform/", "k8s/", "supabase/roles", "monitoring/prometheus/", "pyproject")
        ):
            continue
        if (
            "video_orchestrator" in name
            or "video-orchestrator" in name
            or place.suffix not in (".py", ".yaml", ".toml", ".sql")
        ):
            continue
        if service.search(place.read_text(encoding="utf-8")) and name not in known:
            missed.append(name)
    assert missed == []
