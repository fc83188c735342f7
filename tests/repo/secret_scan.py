"""``python -m tests.repo.secret_scan``: finds what looks like a secret in a tracked file; exits 1 when one does.

A line that must hold one that is none says so: ``secret-scan: ignore``, and why.
"""

import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
IGNORE = "secret-scan: ignore"
FORMATS = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
    "AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "GitHub token": re.compile(r"\bgh[oprsu]_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{60,}"),
    "Slack token": re.compile(r"\bxox[abopr]-[0-9A-Za-z-]{10,}"),
    "API key of a language model": re.compile(r"\bsk-(?:[a-z]+-)*[A-Za-z0-9]{32,}"),
    "Meta access token": re.compile(r"\bEAA[A-Za-z0-9]{60,}"),
    "Twilio account or key": re.compile(r"\b(?:AC|SK)[0-9a-f]{32}\b"),
    "signed token": re.compile(r"\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20,}"),
}
ADDRESS = re.compile(r"\w+://[^\s:/@'\"]*:(?P<value>[^\s@/'\"]+)@")
ASSIGNED = re.compile(
    r"(?i)\b\w*(?:password|passwd|secret|token|api_?key|private_?key|credential)\w*['\"]?\s*[:=]\s*"
    r"['\"]?(?P<value>[A-Za-z0-9+/_=.~-]{20,})"
)
RANDOM_BITS = 2.8
"""Bits per character from which a value may be random: 20 hexadecimal digits have 3 to 3.7, a repeated word less."""


def entropy_bits(text: str) -> float:
    """Shannon's entropy of the characters of ``text``, per character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def looks_random(value: str) -> bool:
    """Whether a generator made it: letters and digits mixed, and most of the letters not in words of their own."""
    letters = sum(character.isalpha() for character in value)
    in_words = sum(len(part) for part in re.split(r"[^A-Za-z0-9]", value) if part.isalpha())
    digits = sum(character.isdigit() for character in value)
    mixed = digits >= 3 and letters >= 3
    return mixed and in_words <= letters / 2 and entropy_bits(value) >= RANDOM_BITS


def findings(text: str) -> Iterator[tuple[int, str]]:
    """Line, from 1, and kind of what looks like a secret."""
    for number, line in enumerate(text.splitlines(), 1):
        if IGNORE in line or "--hash=sha256:" in line:
            continue
        yield from ((number, kind) for kind, pattern in FORMATS.items() if pattern.search(line))
        if any(looks_random(match["value"]) for match in ASSIGNED.finditer(line)):
            yield number, "random value of a secret"
        if any(looks_random(match["value"]) and len(match["value"]) >= 12 for match in ADDRESS.finditer(line)):
            yield number, "password in an address"


def tracked() -> Iterator[tuple[str, str]]:
    """Name and text of every tracked file that is a text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        file = ROOT / name
        data = file.read_bytes() if file.is_file() else b"\0"
        if b"\0" not in data:
            yield name, data.decode("utf-8", errors="replace")


def main() -> int:
    """Print every finding, never the secret itself; returns the exit code."""
    found = [f"{name}:{number}: {kind}" for name, text in tracked() for number, kind in findings(text)]
    for line in found:
        sys.stderr.write(f"{line}. Take it out, revoke it where it was valid, and read it from the environment.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
