"""`easymo hpa check`: every rule has a page whose examples are run here, and what the command answers."""

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from easymo.hpa.check import RULES
from easymo.hpa.check.custom_metric_without_adapter import _name
from tests.hpa.conftest import HPA

Command = Callable[..., Result]
PAGES = Path(__file__).parents[2] / "docs" / "reference" / "hpa-rules"
SLUGS = sorted([rule.slug for rule in RULES] + ["schema", "api-server", "unreadable-file", "doubled-key"])
PAGE = re.compile(
    r"# (?P<slug>\S+)\n\nSeverity: (?P<severity>\w+)\.\n\n(?P<text>.+)\n\n"
    r"## Reported\n\n```yaml\n(?P<bad>.+)```\n\n```console\n\$ easymo (?P<command>[^\n]+)\n(?P<output>.+)```\n\n"
    r"## Not reported\n\n```yaml\n(?P<good>.+)```\n",
    re.DOTALL,
)


def test_every_rule_has_a_page_and_every_page_a_rule() -> None:
    assert sorted(page.stem for page in PAGES.glob("*.md") if page.stem != "README") == SLUGS
    index = (PAGES / "README.md").read_text()
    assert re.findall(r"^\| \[([\w-]+)\]\(\1\.md\)", index, re.MULTILINE) != []
    assert set(re.findall(r"\]\(([\w-]+)\.md\)", index)) == set(SLUGS)
    assert [rule.slug.replace("-", "_") for rule in RULES] == [rule.check.__module__.split(".")[-1] for rule in RULES]


@pytest.mark.parametrize("slug", SLUGS)
def test_the_examples_of_a_page_are_what_the_command_says(
    easymo: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slug: str
) -> None:
    page = PAGE.fullmatch((PAGES / f"{slug}.md").read_text())
    assert page is not None, "the page has not the form of the others"
    monkeypatch.chdir(tmp_path)
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(page["bad"])
    reported = easymo(*page["command"].split())
    lines = reported.stdout.splitlines(keepends=True)
    found = [i for i, line in enumerate(lines) if line.rstrip().endswith(f"[{slug}]")]
    assert "".join(lines[i] + lines[i + 1] for i in found) == page["output"]
    assert all(f": {page['severity']}: " in lines[i] for i in found)
    assert reported.exit_code == (1 if page["severity"] == "error" else 0)
    manifest.write_text(page["good"])
    assert f"[{slug}]" not in easymo(*page["command"].split()).stdout


def test_json_has_the_fields_of_a_finding_and_nothing_else_is_printed(easymo: Command, tmp_path: Path) -> None:
    file = tmp_path / "hpa.yaml"
    file.write_text(HPA.replace("minReplicas: 2", "minReplicas: 10"))
    result = easymo("hpa", "check", file, "--json")
    assert result.exit_code == 0
    (finding,) = json.loads(result.stdout)
    assert set(finding) == {"rule", "severity", "file", "line", "message", "help"}
    assert (finding["rule"], finding["file"], finding["line"]) == ("min-equals-max", str(file), 8)


def test_a_reasoned_comment_silences_one_rule_for_one_object(easymo: Command, tmp_path: Path) -> None:
    file = tmp_path / "hpa.yaml"
    stuck = HPA.replace("minReplicas: 2", "minReplicas: 10")
    file.write_text(f"# easymo:ignore min-equals-max the size is raised by hand before a sale\n{stuck}---\n{stuck}")
    assert easymo("hpa", "check", file).stdout.count("[min-equals-max]") == 1
    file.write_text(f"# easymo:ignore min-equals-max\n{stuck}")
    assert easymo("hpa", "check", file).stdout.count("[min-equals-max]") == 1, "without a reason nothing is silenced"


def test_what_could_not_be_looked_at_is_said(easymo: Command, manifest: Path) -> None:
    result = easymo("hpa", "check", manifest)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "not in these files" in result.stderr
    assert "Deployment web" in result.stderr
    assert "--max-connections" in result.stderr


def test_the_version_of_the_schema_can_be_chosen(easymo: Command, tmp_path: Path) -> None:
    file = tmp_path / "hpa.yaml"
    file.write_text(HPA + "  behavior: {scaleDown: {tolerance: 50m}}\n")
    assert easymo("hpa", "check", file, "--kubernetes", "1.33").exit_code == 0
    older = easymo("hpa", "check", file, "--kubernetes", "1.32")
    assert older.exit_code == 1
    assert "'tolerance' was unexpected" in older.stdout
    unknown = easymo("hpa", "check", file, "--kubernetes", "1.99")
    assert unknown.exit_code == 2
    assert "1.99" in unknown.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n", ["no HorizontalPodAutoscaler here, only Service"]),
    ],
)
def test_what_cannot_be_checked_is_refused(easymo: Command, tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "hpa.yaml").write_text(text)
    result = easymo("hpa", "check", tmp_path / "hpa.yaml")
    assert result.exit_code == 2
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "hpa.yaml:1: error: it is empty"),
        (HPA.replace("autoscaling/v2", "autoscaling/v2beta1"), "removed it in 1.25"),
        (HPA.replace("autoscaling/v2", "autoscaling/v2beta2"), "removed it in 1.26"),
    ],
)
def test_a_file_that_cannot_be_checked_is_a_finding(easymo: Command, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "hpa.yaml").write_text(text)
    result = easymo("hpa", "check", tmp_path / "hpa.yaml")
    assert (result.exit_code, words in result.stdout) == (1, True), result.stdout


def test_a_job_without_seconds_is_refused(easymo: Command, manifest: Path) -> None:
    result = easymo("hpa", "check", manifest, "--longest-job", "web=long")
    assert result.exit_code == 2
    assert "WORKLOAD=SECONDS" in result.stderr


def test_a_list_counts_as_its_items_with_their_lines(easymo: Command, tmp_path: Path) -> None:
    item = HPA.replace("minReplicas: 2", "minReplicas: 10").replace("\n", "\n    ").rstrip()
    (tmp_path / "list.yaml").write_text(f"apiVersion: v1\nkind: List\nitems:\n  - {item}\n")
    assert "list.yaml:11: warning" in easymo("hpa", "check", tmp_path / "list.yaml").stdout


def test_a_folder_is_read_file_by_file(easymo: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "has no file ending in" in easymo("hpa", "check", tmp_path / "empty").stderr
    (tmp_path / "a.yaml").write_text(HPA)
    (tmp_path / "b.yml").write_text(HPA.replace("minReplicas: 2", "minReplicas: 10"))
    (tmp_path / "notes.txt").write_text("not YAML: [")
    assert f"{tmp_path / 'b.yml'}:8: warning" in easymo("hpa", "check", tmp_path).stdout


def test_a_kustomization_that_only_lists_is_read_as_it_stands(
    easymo: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    (tmp_path / "hpa.yaml").write_text(HPA.replace("minReplicas: 2", "minReplicas: 10"))
    (tmp_path / "kustomization.yaml").write_text("resources: [hpa.yaml]\n")
    assert f"{tmp_path / 'hpa.yaml'}:8: warning" in easymo("hpa", "check", tmp_path).stdout


@pytest.fixture
def patching(tmp_path: Path) -> Path:
    """A kustomization that changes what it lists."""
    folder = tmp_path / "overlay"
    folder.mkdir()
    (folder / "hpa.yaml").write_text(HPA)
    (folder / "kustomization.yaml").write_text("namespace: staging\nresources: [hpa.yaml]\n")
    return folder


def test_without_kubectl_a_kustomization_that_changes_things_is_refused(
    easymo: Command, patching: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    result = easymo("hpa", "check", patching)
    assert result.exit_code == 1
    assert "no kubectl here" in result.stdout


def stub_kubectl(folder: Path, script: str) -> Path:
    folder.mkdir()
    kubectl = folder / "kubectl"
    kubectl.write_text(f"#!/bin/sh\n{script}\n")
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    return folder


def test_kubectl_renders_a_kustomization_that_changes_things(
    easymo: Command, patching: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(HPA.replace("minReplicas: 2", "minReplicas: 10"))
    bin_folder = stub_kubectl(tmp_path / "bin", f'echo "$@" > {tmp_path}/call\nexec /bin/cat {rendered}')
    monkeypatch.setenv("PATH", str(bin_folder))
    result = easymo("hpa", "check", patching)
    assert (tmp_path / "call").read_text() == f"kustomize {patching}\n"
    assert f"{patching} (rendered):8: warning" in result.stdout


def test_what_kubectl_refuses_is_passed_on(
    easymo: Command, patching: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bin_folder = stub_kubectl(tmp_path / "bin", "echo 'error: accumulating resources: no such patch' >&2; exit 1")
    monkeypatch.setenv("PATH", str(bin_folder))
    result = easymo("hpa", "check", patching)
    assert result.exit_code == 1
    assert "accumulating resources: no such patch" in result.stdout


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ({"seriesQuery": "jobs_waiting"}, "jobs_waiting"),
        ({"seriesQuery": 'http_requests_total{pod!=""}', "name": {"matches": "^(.*)_total$"}}, "http_requests"),
        ({"seriesQuery": "a_total", "name": {"matches": "(.*)_total", "as": "${1}_rate"}}, "a_rate"),
        ({"seriesQuery": "a_total", "name": {"matches": "(.*)_total", "as": "$1_rate"}}, None),  # the group `1_rate`
        ({"seriesQuery": '{__name__=~"^a.*"}', "name": {"as": "queue_depth"}}, "queue_depth"),
        ({"seriesQuery": "other", "name": {"matches": "^(.*)_total$", "as": "x"}}, None),
    ],
)
def test_the_metric_of_an_adapter_rule_is_named_as_the_adapter_does(rule: dict[str, object], name: str | None) -> None:
    assert _name(rule) == name
