"""Runbooks: every alert has its page, and what a page says to type exists."""

import re
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from easymo.cli.main import app
from easymo_platform.__main__ import _COMMANDS
from tests.monitoring.documents import ROOT, read_rules

PAGES = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PLATFORM = "python -m easymo_platform"

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def commands(page: Path) -> list[str]:
    """Everything in code that is a command of ours, of make or of kubectl, on one line."""
    code = re.findall(r"```bash\n(.*?)```|`([^`]+)`", text_of(page), re.DOTALL)
    lines = [" ".join((block or inline).split()) for block, inline in code]
    return [line for line in lines if line.startswith((f"{PLATFORM} ", "easymo ", "make ", "kubectl "))]


def problem(command: str) -> str:
    """Why a command cannot be typed; empty if it can."""
    words = command.removeprefix(f"{PLATFORM} ").split()
    if command.startswith(PLATFORM):
        return "" if words[0] in _COMMANDS else "no such command of the platform"
    if command.startswith("make "):
        return "" if re.search(rf"^{words[1]}:", MAKEFILE, re.MULTILINE) else "no such target"
    if command.startswith("kubectl "):
        return "" if "-n production" in command else "without its namespace it would act on another one"
    engine = get_command(app)
    for word in words[1:3]:
        if not isinstance(engine, typer.core.TyperGroup):
            break
        if word not in engine.commands:
            return f"easymo has no {word}"
        engine = engine.commands[word]
    return ""


def test_every_alert_has_its_page_and_every_page_is_led_to() -> None:
    led_to = {rule["annotations"]["runbook_url"] for rule in read_rules() if "alert" in rule}
    status = (ROOT / "src/easymo_platform/operations/status/problems.py").read_text(encoding="utf-8")
    led_to |= {f"docs/runbooks/{slug}.md" for slug in re.findall(r'_page\("([a-z-]+)"\)', status)}
    assert led_to == {str(page.relative_to(ROOT)) for page in PAGES}


@by_name
def test_a_page_begins_with_the_command_to_type(page: Path) -> None:
    begin = re.match(r"# [^\n]+\n\n```bash\n([^\n]+)\n```\n\n\*\*It means\.\*\*", text_of(page))
    assert begin is not None
    assert commands(page)[0] == begin[1]


@by_name
def test_what_a_page_says_to_type_exists(page: Path) -> None:
    assert {command: found for command in commands(page) if (found := problem(command))} == {}


@by_name
def test_a_page_can_be_read_at_night(page: Path) -> None:
    text = text_of(page)
    parts = [text.index(part) for part in ("**It means.**", "**Look at**", "**Do**", "**Escalate.**")]
    assert parts == sorted(parts)
    assert len(text.splitlines()) <= 45


@pytest.mark.parametrize(
    "command", ["python -m easymo_platform stats", "make everything", "kubectl get pods", "easymo indexes drop"]
)
def test_a_command_that_does_not_exist_is_found(command: str) -> None:
    assert problem(command)
