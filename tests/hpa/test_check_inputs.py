"""No input stops `easymo hpa check`: what cannot be read is a finding, and YAML means what it means to kubectl."""

import copy
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from easymo.cli.main import app
from easymo.hpa.check import Settings, check
from easymo.hpa.decode import Decoded, DecodeError, decode
from easymo.hpa.errors import HpaError
from easymo.hpa.manifests import Reading, parse
from easymo.hpa.problems import problems
from tests.hpa.conftest import HPA

Command = Callable[..., Result]
K8S = Path(__file__).parents[2] / "k8s"
STUCK = HPA.replace("minReplicas: 2", "minReplicas: 10")
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def value(text: str) -> Any:
    (found,) = decode(text)
    assert isinstance(found, Decoded), found
    return found.content


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("1:10", "1:10"),
        ("2024-01-01", "2024-01-01"),
        ("010", 8),
        ("0o10", 8),
        ("08", 8),
        ("0x1F", 31),
        ("1_000", 1000),
        ("1e3", 1000),
        ("30.0", 30),
        ("yes", True),
        ("Off", False),
        ("'yes'", "yes"),
        ("!!str 12", "12"),
        ("!!binary aGk=", "hi"),
        ("!custom x", "x"),
        ("٣", "٣"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_a_scalar_is_what_the_api_server_gets(text: str, read: object) -> None:
    assert value(f"x: {text}") == {"x": read}
    assert type(value(f"x: {text}")["x"]) is type(read)


def test_keys_merges_and_nulls_are_those_of_kubectl() -> None:
    assert value("on: 1\n8: 2\n") == {"true": 1, "8": 2}
    assert value("a: &a {c: 1, d: 2}\nb: {<<: *a, d: 3}\n")["b"] == {"c": 1, "d": 3}
    assert value("a: null\nb:\nc: [null]\n") == {"c": [None]}
    (found,) = decode("a: 1\nb: 2\na: 3\n")
    assert isinstance(found, Decoded)
    assert (found.content, found.doubled) == ({"b": 2, "a": 3}, [(3, "a")])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &m [*m]", "contains itself"),
        (BOMB, "aliases stand for more than 100,000"),
        ("[" * 100_000, "nested deeper"),
        ("{a: " * 100_000, "nested deeper"),
        ("a: *nothing", "no anchor"),
        ("a: .nan", "no number that JSON has"),
        ("? [a]\n: 1", "a key must be"),
        ("a: \x00", "not valid YAML"),
        ("a: [", "not valid YAML"),
        ("a: !!binary €", "no base64"),
        ("<<: 1", "must be a mapping"),
    ],
)
def test_what_cannot_be_read_is_said_at_once(text: str, words: str) -> None:
    began = time.process_time()
    (error,) = decode(text)
    assert isinstance(error, DecodeError)
    assert words in error.reason
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(yaml.safe_load(STUCK), indent="\t"),
        json.dumps(yaml.safe_load(STUCK)) * 2,
        json.dumps(
            {
                "kind": "HorizontalPodAutoscalerList",
                "apiVersion": "autoscaling/v2",
                "items": [{k: v for k, v in yaml.safe_load(STUCK).items() if k not in ("kind", "apiVersion")}],
            }
        ),
        STUCK.replace("autoscaling/v2", "autoscaling/v1").split("  metrics")[0],
        STUCK + "---\nx: [\n",
    ],
    ids=["tabs", "two objects", "typed list", "autoscaling/v1", "beside a broken document"],
)
def test_an_autoscaler_is_found_in_every_layout(text: str) -> None:
    reading = Reading()
    reading._parse("x", text)
    findings, _ = check(reading.documents, Settings(), reading.unreadable)
    assert "min-equals-max" in {finding.rule for finding in findings}


def test_autoscaling_v1_keeps_what_its_annotations_say() -> None:
    behavior = json.dumps({"scaleDown": {"stabilizationWindowSeconds": 7}})
    metrics = json.dumps([{"type": "Pods", "pods": {"metricName": "hits", "targetAverageValue": "5"}}])
    content = yaml.safe_load(HPA.split("  metrics")[0].replace("autoscaling/v2", "autoscaling/v1"))
    content["spec"]["targetCPUUtilizationPercentage"] = 50
    prefix = "autoscaling.alpha.kubernetes.io/"
    content["metadata"]["annotations"] = {f"{prefix}behavior": behavior, f"{prefix}metrics": metrics}
    (document,) = parse("v1", json.dumps(content))
    spec = document.content["spec"]
    assert [metric["type"] for metric in spec["metrics"]] == ["Resource", "Pods"]
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 7
    assert list(problems(document)) == []


def test_valid_manifests_are_not_refused() -> None:
    """Null int-or-strings, dates and base 60 as texts: the API server stores them."""
    text = HPA.replace("  name: web-hpa", "  name: web-hpa\n  annotations: {at: 2024-01-01, bin: !!binary aGk=}")
    (document,) = parse("x", text + "  behavior: {scaleUp: {tolerance: null}}\n")
    assert list(problems(document)) == []
    (budget,) = parse(
        "x", "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: a}\nspec: {minAvailable: }\n"
    )
    assert list(problems(budget)) == []


def test_a_folder_is_read_with_its_subfolders_and_other_tools_files_are_passed_over(
    easymo: Command, tmp_path: Path
) -> None:
    for name in ("a/b", "skip", "chart/templates"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a" / "b" / "hpa.yaml").write_text(STUCK)
    (tmp_path / "skip" / "hpa.yaml").write_text(STUCK)
    (tmp_path / "broken.yaml").write_text("x: [")
    (tmp_path / "values.yaml").write_text("x: {{")
    (tmp_path / "mkdocs.yml").write_text("site: x\n")
    result = easymo("hpa", "check", tmp_path, "--exclude", "skip")
    assert (result.exit_code, result.stdout.count("[min-equals-max]")) == (1, 1)
    assert result.stdout.count("[unreadable-file]") == 1
    assert all(name in result.stderr for name in ("values.yaml", "mkdocs.yml"))


def test_a_chart_is_rendered_by_helm_or_its_command_is_given(
    easymo: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chart, empty = tmp_path / "chart", tmp_path / "bin"
    chart.mkdir()
    empty.mkdir()
    (chart / "Chart.yaml").write_text("name: web\n")
    monkeypatch.setenv("PATH", str(empty))
    result = easymo("hpa", "check", chart)
    assert (result.exit_code, f"helm template release {chart} | easymo hpa check -" in result.stdout) == (1, True)
    (tmp_path / "rendered.yaml").write_text(STUCK)
    (empty / "helm").write_text(
        f'#!/bin/sh\n[ "$4 $5" = "--values v.yaml" ] && exec /bin/cat {tmp_path}/rendered.yaml\n'
    )
    (empty / "helm").chmod(0o755)
    assert "[min-equals-max]" in easymo("hpa", "check", chart, "--helm-values", "v.yaml").stdout
    (tmp_path / "template.yaml").write_text("metadata: {{ .Values.x }}\n{{- if x }}\n")
    assert "this is a Helm template" in easymo("hpa", "check", tmp_path / "template.yaml").stdout


def test_standard_input_is_read_and_findings_are_printed_for_machines() -> None:
    run = CliRunner().invoke
    github = run(app, ["hpa", "check", "-", "--format", "github"], input=STUCK)
    assert github.stdout.startswith("::warning file=stdin,line=8,title=min-equals-max::")
    sarif = json.loads(run(app, ["hpa", "check", "-", "--format", "sarif"], input=STUCK).stdout)
    assert sarif["runs"][0]["results"][0]["ruleId"] == "min-equals-max"


def test_adapter_rules_are_read_with_re2_and_a_bad_one_gives_nothing() -> None:
    from easymo.hpa.check.custom_metric_without_adapter import _name

    naming = {"matches": r"^(?P<base>\pL+)_(?s:total)\z", "as": "${base}_rate"}
    assert _name({"seriesQuery": "hits_total", "name": naming}) == "hits_rate"
    assert _name({"seriesQuery": "hits_total", "name": {"matches": "^(.*_total$"}}) is None


def test_kustomizations_found_in_a_folder_do_not_meet(easymo: Command, tmp_path: Path) -> None:
    for overlay in ("staging", "production"):
        (tmp_path / overlay).mkdir()
        (tmp_path / overlay / "hpa.yaml").write_text(STUCK)
        (tmp_path / overlay / "kustomization.yaml").write_text("resources: [hpa.yaml]\n")
    assert "[doubled-name]" not in easymo("hpa", "check", tmp_path).stdout
    assert "[doubled-name]" in easymo("hpa", "check", tmp_path / "staging", tmp_path / "production").stdout


def places(content: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield way
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, item in entries:
        yield from places(item, (*way, key))


VALUES: list[Any] = [None, True, -1, 1.5, 2**40, "", "1:10", "٣", "²", [], [None], [[]], {}, {"a": None}, "%", "1e999"]
MARKS = [
    "\0",
    "\t",
    "{",
    "}",
    "[",
    "&a ",
    "*a",
    "<<: ",
    "? ",
    ": ",
    "- ",
    "!!binary ",
    "|",
    "---\n",
    "...\n",
    "%YAML 9\n",
]


def mutated(objects: list[Any], texts: list[str], chance: random.Random) -> str:
    if chance.random() < 0.3:
        text = chance.choice(texts)
        place = chance.randrange(len(text))
        return text[:place] + chance.choice(MARKS) + text[place + chance.choice((0, 1, 20)) :]
    content = copy.deepcopy(chance.choice(objects))
    *way, last = chance.choice([way for way in places(content) if way])
    at = content
    for key in way:
        at = at[key]
    at[last] = chance.choice(VALUES)
    return f"{json.dumps(content)}\n" if chance.random() < 0.3 else f"{yaml.safe_dump(content)}---\n{HPA}"


def test_no_mutation_of_real_objects_or_texts_gives_a_traceback() -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    texts = [file.read_text() for file in sorted(K8S.rglob("*.yaml"))]
    objects = [content for text in texts for content in yaml.safe_load_all(text) if content]
    settings = Settings(max_connections=100)
    for number in range(250):
        text = mutated(objects, texts, chance)
        reading = Reading()
        try:
            reading._parse("x", text)
            check(reading.documents, settings, reading.unreadable)
        except HpaError:
            pass  # there is no autoscaler: a sentence
        except Exception as error:
            raise AssertionError(f"seed {seed}, number {number}: {text}") from error
