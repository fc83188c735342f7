"""Writes `docs/reference/api.md` from the code: the public names of each engine, their signatures, their first
paragraph.

python -m tests.repo.reference [--check]
"""

import argparse
import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"
PACKAGES = ("easymo.cache", "easymo.indexes", "easymo.hpa", "easymo.load", "easymo.proof", "easymo.embedded")

_HEAD = """# Public API

Generated from the code by `make docs`; lint checks it. What is not listed here may change without notice.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(section(importlib.import_module(name)) for name in PACKAGES)])


def section(package: ModuleType) -> str:
    """One package: what it is for, then its names in alphabetical order."""
    lines = [f"## `{package.__name__}`", "", first_paragraph(package), ""]
    for name in sorted(package.__all__, key=str.casefold):
        value = getattr(package, name)
        lines += [f"### `{name}`", "", *described(name, value), ""]
    return "\n".join(lines)


def described(name: str, value: Any) -> list[str]:
    """The signature where there is one, the first paragraph, and of a class its public methods."""
    if inspect.ismodule(value):
        return [first_paragraph(value)]
    if not callable(value):
        return [f"`{name}`: a constant of type `{type(value).__name__}`."]
    lines = ["```python", f"{name}{signature(value)}", "```", "", first_paragraph(value)]
    if inspect.isclass(value) and not issubclass(value, BaseException):
        methods = [
            f"- `{method}{signature(member)}`: {first_paragraph(member)}"
            for method, member in vars(value).items()
            if not method.startswith("_") and inspect.isfunction(member)
        ]
        lines += ["", *methods] if methods else []
    return lines


def signature(value: object) -> str:
    """Its parameters with their types; empty where Python cannot tell."""
    try:
        text = str(inspect.signature(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    text = re.sub(r"<object object at 0x[0-9a-f]+>", "...", text)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])|~", "", text)


def first_paragraph(value: object) -> str:
    """Of its docstring, on one line."""
    text = inspect.getdoc(value) or ""
    return " ".join(text.partition("\n\n")[0].split())


def main() -> int:
    """Write the page, or with `--check` compare. Returns 1 when it is out of date."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is out of date")
    wanted = page()
    if parser.parse_args().check:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != wanted:
            sys.stderr.write(f"docs/reference/{PAGE.name} is out of date: run `make docs`.\n")
            return 1
        sys.stdout.write(f"docs/reference/{PAGE.name}: up to date\n")
        return 0
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
