"""What must never be in this repository: registry hosts, paths of somebody's machine, files of ../shared."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
# Written in pieces, so that this file does not find itself.
REGISTRY = re.compile(r"https?://[a-z0-9.-]*(?:py" + r"pi|python" + r"hosted|npm" + r"js|deb" + r"ian)[a-z0-9.-]*/?")
MACHINE_PATH = re.compile(
    r"(?<![\w.$}/-])/(?:ro" + r"ot|ho" + r"me/\w+|Us" + r"ers/\w+|wo" + r"rk|t" + r"mp/\w+)/[\w.-]"
)


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def tracked_text() -> list[tuple[Path, str]]:
    found = []
    for file in tracked_files():
        data = file.read_bytes()
        if b"\0" not in data:
            found.append((file, data.decode("utf-8", errors="replace")))
    return found


def places(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}:{number}: {match[0]}"
        for file, text in tracked_text()
        for number, line in enumerate(text.splitlines(), 1)
        if (match := pattern.search(line))
    ]


def test_no_tracked_file_names_the_host_of_a_package_registry() -> None:
    assert places(REGISTRY) == []


def test_no_tracked_file_holds_a_path_of_somebodys_machine() -> None:
    assert places(MACHINE_PATH) == []


def test_the_patterns_find_what_they_are_for() -> None:
    assert REGISTRY.search("index = https://files.python" + "hosted.org/packages/x")
    for path in ("/ro" + "ot/easymo/x.py", "/ho" + "me/ann/easymo/x", "/t" + "mp/run7/verdict.json"):
        assert MACHINE_PATH.search(f"reads {path}")


def test_no_tracked_file_is_a_copy_of_a_shared_file() -> None:
    if not SHARED.is_dir():
        pytest.skip("../shared is not here, so nothing can be compared with it")
    shared = {
        hashlib.sha256(file.read_bytes()).digest(): file
        for file in SHARED.rglob("*")
        if file.is_file() and file.stat().st_size
    }
    copies = [f for f in tracked_files() if hashlib.sha256(f.read_bytes()).digest() in shared]
    assert copies == []


def test_no_long_passage_of_a_shared_file_was_copied() -> None:
    """Facts and figures may be repeated, with their source; prose, SQL and code may not.

    The page about English is left out: it quotes sentences of this repository.
    """
    if not SHARED.is_dir():
        pytest.skip("../shared is not here, so nothing can be compared with it")
    passages = set[str]()
    for file in SHARED.rglob("*"):
        if file.is_file() and file.suffix in (".md", ".txt") and file.name != "english.md":
            passages |= _passages(file.read_text(encoding="utf-8", errors="replace"))
    copied = [f"{file.relative_to(ROOT)}: {p}" for file, text in tracked_text() for p in _passages(text) & passages]
    assert copied == []


def _passages(text: str, words: int = 14) -> set[str]:
    """Runs of 14 words that hold at least 10 words of letters: long enough to be nobody's coincidence."""
    tokens = re.findall(r"[A-Za-z_]{2,}|\S", text)
    runs = (tokens[i : i + words] for i in range(len(tokens) - words))
    return {" ".join(run) for run in runs if sum(token[0].isalpha() and len(token) > 2 for token in run) >= 12}
