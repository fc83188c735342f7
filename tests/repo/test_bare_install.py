"""`pip install easymo[cache]` works alone: the cache asks for nothing that its extra does not bring."""

import re
import subprocess
import sys
import tomllib
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What the base package and the extra bring, by import name; the standard library is always there.
ALLOWED = {"cache": {"msgspec", "redis", "hiredis", "typer", "rich"}}

PROBE = """
import importlib, pkgutil, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        standard = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        if not standard and top not in {allowed!r}:
            raise ModuleNotFoundError(f"the extra does not bring {{name}}", name=name)
sys.meta_path.insert(0, Refuse())
import easymo.cache
for found in pkgutil.walk_packages(easymo.cache.__path__, "easymo.cache."):
    if found.name not in {frameworks!r}:
        importlib.import_module(found.name)
print(sorted({{name.split(".")[1] for name in sys.modules if name.startswith("easymo.")}}))
"""
FRAMEWORKS = {
    f"easymo.cache.{name}" for name in ("django", "fastapi", "litestar", "opentelemetry", "prometheus", "pytest")
}


def test_the_cache_needs_only_its_extra_and_nothing_else_of_ours() -> None:
    allowed = ALLOWED["cache"] | {"easymo", "async_timeout"}
    code = PROBE.format(allowed=allowed, frameworks=FRAMEWORKS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['cache']"


def test_the_extra_brings_what_the_cache_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    brought = project["dependencies"] + project["optional-dependencies"]["cache"]
    assert {re.split(r"[^\w-]", name)[0] for name in brought} == ALLOWED["cache"]


def closure(*names: str) -> set[str]:
    """Import names of the installed distributions that ``names`` require, themselves included."""
    tops = metadata.packages_distributions()
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        with suppress(metadata.PackageNotFoundError):
            required = metadata.requires(name) or []
            waiting += [re.split(r"[^\w.-]", line)[0] for line in required if "extra ==" not in line]
    return {top for top, owners in tops.items() if any(o.lower().replace("_", "-") in found for o in owners)}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["prove", "--help"], ["load", "run", "--help"]])
def test_the_command_line_starts_without_any_extra(arguments: list[str]) -> None:
    done = run_without_extras(arguments)
    assert done.returncode == 0, done.stderr


def run_without_extras(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    """`easymo ARGUMENTS` where only the base package's own requirements can be imported."""
    code = PROBE.split("import easymo.cache")[0].format(allowed={"easymo", "msgspec"} | closure("typer", "rich"))
    code += f"sys.argv = ['easymo', *{arguments!r}]\nfrom easymo.cli import main\nmain()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [(["history"], "proof"), (["load", "run", "x.py", "--url", "http://x"], "load"), (["cache", "get", "x"], "cache")],
)
def test_a_command_without_its_extra_says_how_to_install_it(arguments: list[str], extra: str) -> None:
    done = run_without_extras(arguments)
    assert done.returncode == 2
    assert f"pip install 'easymo[{extra}]'" in done.stderr
