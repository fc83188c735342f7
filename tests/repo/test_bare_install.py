"""`pip install easymo[cache]` works alone: the cache asks for nothing that its extra does not bring."""

import re
import resource
import subprocess
import sys
import tomllib
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest

from easymo.cli.start import COMMANDS

ROOT = Path(__file__).parents[2]
# What the base package and the extra bring, by import name; the standard library is always there.
ALLOWED = {"cache": {"msgspec", "redis", "hiredis"}}

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


@pytest.mark.parametrize("arguments", [["prove", "--help"], ["load", "run", "--help"], ["init", "--help"]])
def test_the_help_of_a_command_needs_the_extra_cli_alone(arguments: list[str]) -> None:
    done = run_without_extras(arguments, closure("typer", "rich"))
    assert done.returncode == 0, done.stderr
    assert f"Usage: easymo {arguments[0]}" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], [], ["--version"]])
def test_the_root_help_needs_the_standard_library_alone(arguments: list[str]) -> None:
    done = run_without_extras(arguments, set(), own={"easymo"})
    assert done.returncode == 0, done.stderr
    assert "easymo" in done.stdout


def test_a_library_user_is_told_how_to_get_the_command_line() -> None:
    done = run_without_extras(["cache", "--help"], set())
    assert (done.returncode, "pip install 'easymo[cli]'" in done.stderr) == (2, True), done.stderr


def run_without_extras(
    arguments: list[str], brought: set[str], own: set[str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """`easymo ARGUMENTS` where only the base package's own requirements and `brought` can be imported."""
    allowed = (own or {"easymo", "msgspec"}) | brought
    code = PROBE.split("import easymo.cache")[0].format(allowed=allowed)
    code += f"sys.argv = ['easymo', *{arguments!r}]\nfrom easymo.cli import main\nmain()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_root_help_lists_every_command_and_answers_in_a_quarter_second_of_cpu() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "easymo.cli", "--help"], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.25
    misspelt = subprocess.run([sys.executable, "-m", "easymo.cli", "prov"], capture_output=True, text=True, check=False)
    assert (misspelt.returncode, "Did you mean 'prove'?" in misspelt.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [(["history"], "proof"), (["load", "run", "x.py", "--url", "http://x"], "load"), (["cache", "get", "x"], "cache")],
)
def test_a_command_without_its_extra_says_how_to_install_it(arguments: list[str], extra: str) -> None:
    done = run_without_extras(arguments, closure("typer", "rich"))
    assert done.returncode == 2
    assert f"pip install 'easymo[{extra}]'" in done.stderr
