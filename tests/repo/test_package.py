"""What pyproject.toml declares is true of the package."""

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import BytesParser
from email.policy import default
from importlib.metadata import requires
from pathlib import Path

import pytest

import easymo
from easymo.hpa.schema import DEFAULT_VERSION

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("command", [["-m", "easymo"], ["-m", "easymo.cli"]])
def test_the_command_says_the_version_that_is_declared(command: list[str]) -> None:
    done = subprocess.run([sys.executable, *command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"easymo {PROJECT['version']}\n"
    assert easymo.__version__ == PROJECT["version"]


def test_the_changelog_knows_the_version_or_what_is_not_released_yet() -> None:
    headings = re.findall(r"^## \[?([\w.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"Unreleased", PROJECT["version"]} & set(headings[:2])


def test_extras_are_for_users_only() -> None:
    assert set(PROJECT["optional-dependencies"]) & {"services", "platform", "video", "dev", "test"} == set()


def test_the_default_schema_is_in_the_oldest_version_that_is_allowed() -> None:
    (floor,) = re.findall(r"kubernetes-validate>=([\d.]+)", str(PROJECT["optional-dependencies"]))
    assert [int(part) for part in DEFAULT_VERSION.split(".")] <= [int(part) for part in floor.split(".")]


@pytest.mark.parametrize("name", ["uvicorn", "litestar", "aiosql"])
def test_a_package_whose_private_parts_are_used_has_an_upper_bound(name: str) -> None:
    """`HttpToolsProtocol`, `asgi_handler` and `var_sorted` are not promised; see test_private_parts.py."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    (line,) = [line for line in groups["services"] if line.startswith(name)]
    assert re.fullmatch(rf"{name}>=[\d.]+,<\d+", line)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_tool_and_not_its_customer(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"easymo"}


def test_no_link_of_the_description_is_dead_on_an_index_page(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = BytesParser(policy=default).parsebytes(archive.read(name))
    links = re.findall(r"\]\(([^)\s]+)", str(metadata.get_payload()))
    assert links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert {line.split(",")[0] for line in metadata.get_all("Project-URL", [])} == set(PROJECT["urls"])
    repository = PROJECT["urls"]["Source"] + "/blob/main/"
    pages = [link.removeprefix(repository).partition("#")[0] for link in links if link.startswith(repository)]
    assert [page for page in pages if not (ROOT / page).exists()] == []


def test_an_extra_installs_no_package_of_this_repository_only() -> None:
    assert [line for line in requires("easymo") or () if "litestar" in line or "pytest" in line] == []
