"""`easymo hpa tune`: the cheapest autoscaler within a limit, found by trying."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import Result

from easymo.hpa.conditions import Conditions
from easymo.hpa.errors import HpaError
from easymo.hpa.inputs import Scaled, read_autoscalers
from easymo.hpa.manifests import parse
from easymo.hpa.quantity import milli
from easymo.hpa.signals import Constant
from easymo.hpa.simulate import simulate
from easymo.hpa.spec import hpa_from
from easymo.hpa.tune import Grid, Tuning, candidates, grid_for, patch_of, tune
from easymo.trace import shape
from tests.hpa.conftest import HPA

Command = Callable[..., Result]
SPIKE = shape("spike", 60, 600)
CONDITIONS = Conditions(capacity=100, pod_hour_price=2.0)


@pytest.fixture
def scaled(manifest: Path) -> Scaled:
    (found,) = read_autoscalers([manifest])
    return found


def small(scaled: Scaled) -> Grid:
    grid = grid_for(scaled.hpa)
    return replace(grid, factors=(0.7, 1.0), downs=grid.downs[:2])


def search(scaled: Scaled, limit_s: float, processes: int = 1) -> Tuning:
    return tune(scaled, SPIKE, CONDITIONS, {}, limit_short_s=limit_s, grid=small(scaled), processes=processes)


def test_what_is_found_keeps_the_limit_and_is_the_cheapest_of_all(scaled: Scaled) -> None:
    found = search(scaled, 100)
    every = [simulate(hpa, SPIKE, CONDITIONS).totals for hpa in candidates(scaled.hpa, small(scaled), {"cpu"})]
    assert len(every) == found.tried
    within = [totals.pod_hours for totals in every if totals.short_s <= 100]
    assert found.best[0].totals.pod_hours == pytest.approx(min(within))
    assert all(one.totals.short_s <= 100 for one in found.best)
    hours = [round(one.totals.pod_hours, 6) for one in found.best]
    assert hours == sorted(hours)
    assert found.now.totals == simulate(scaled.hpa, SPIKE, CONDITIONS).totals


def test_two_processes_find_the_same_as_one_and_tell_how_far_they_are(scaled: Scaled) -> None:
    told: list[tuple[int, int]] = []
    grid = grid_for(scaled.hpa)
    grid = replace(grid, factors=(0.7, 1.0, 1.3), downs=grid.downs[:2])
    both = tune(
        scaled,
        SPIKE,
        CONDITIONS,
        {},
        limit_short_s=100,
        grid=grid,
        processes=2,
        on_progress=lambda done, total: told.append((done, total)),
    )
    one = tune(scaled, SPIKE, CONDITIONS, {}, limit_short_s=100, grid=grid, processes=1)
    assert both == one
    assert told == sorted(told)
    assert told[-1] == (one.tried, one.tried)


def test_a_limit_that_nothing_keeps_gives_nothing_and_says_how_near_it_came(scaled: Scaled) -> None:
    found = search(scaled, 0)
    assert found.best == []
    assert found.least_short_s > 0


def test_a_metric_that_is_not_simulated_keeps_its_target(scaled: Scaled) -> None:
    memory = {"type": "Resource", "resource": {"name": "memory", "target": {"averageUtilization": 75}}}
    content = {**scaled.document.content, "spec": {**scaled.document.content["spec"]}}
    content["spec"]["metrics"] = [*content["spec"]["metrics"], memory]
    both = Scaled(scaled.document, hpa_from(content), None)
    found = tune(both, SPIKE, CONDITIONS, {}, limit_short_s=1000, grid=small(both), processes=1)
    assert {one.hpa.metrics[1].amount for one in found.best} == {75}
    steady = {"memory": Constant(10)}
    found = tune(both, SPIKE, CONDITIONS, steady, limit_short_s=1000, grid=small(both), processes=1)
    assert {one.hpa.metrics[0].amount for one in found.best} >= {49}


def test_a_patch_gives_the_manifest_what_the_candidate_has(scaled: Scaled) -> None:
    best = search(scaled, 100).best[0].hpa
    (patch,) = parse("patch", patch_of(scaled, best))
    whole = {**scaled.document.content, "spec": {**scaled.document.content["spec"], **patch.content["spec"]}}
    assert hpa_from(whole) == best
    assert set(patch.content["spec"]) == {"minReplicas", "maxReplicas", "metrics", "behavior"}


def test_the_default_grid_has_about_a_thousand_candidates(scaled: Scaled) -> None:
    assert 500 <= len(candidates(scaled.hpa, grid_for(scaled.hpa), {"cpu"})) <= 1500


def test_bounds_that_cannot_be_are_refused(scaled: Scaled) -> None:
    for minimums, maximums in (([0], [3]), ([5], [3])):
        with pytest.raises(HpaError, match="bounds to try"):
            grid_for(scaled.hpa, minimums, maximums)


RUN = ("--shape", "spike", "--base", 60, "--peak", 600, "--capacity", 100, "--processes", 1, "--min", 2, "--max", 10)


@pytest.mark.parametrize(("amount", "written"), [(1500, "1500m"), (2000, "2"), (50, "50m"), (1, "1m")])
def test_a_patch_keeps_thousandths(scaled: Scaled, amount: int, written: str) -> None:
    source = {"metric": {"name": "jobs"}, "target": {"type": "AverageValue", "averageValue": "1"}}
    content = json.loads(json.dumps(scaled.document.content))
    content["spec"]["metrics"] = [{"type": "External", "external": source}]
    (document,) = parse("hpa.yaml", json.dumps(content))
    hpa = hpa_from(content)
    tuned = replace(hpa, metrics=(replace(hpa.metrics[0], amount=amount),))
    (patch,) = parse("patch", patch_of(Scaled(document, hpa, None), tuned))
    target = patch.content["spec"]["metrics"][0]["external"]["target"]
    assert target == {"type": "AverageValue", "averageValue": written}
    assert milli(target["averageValue"]) == amount


def test_the_command_shows_the_manifest_first_and_writes_a_patch(
    easymo: Command, manifest: Path, tmp_path: Path
) -> None:
    patch = tmp_path / "patch.yaml"
    result = easymo("hpa", "tune", manifest, *RUN, "--limit", 200, "--patch", patch)
    assert result.exit_code == 0, result.output
    assert "The first row is the manifest as it is." in result.stdout
    assert parse("patch", patch.read_text())[0].name == "web-hpa"
    found = json.loads(easymo("hpa", "tune", manifest, *RUN, "--limit", 200, "--best", 3, "--json").stdout)
    assert len(found[0]["best"]) == 3


def test_the_command_says_when_no_candidate_keeps_the_limit(easymo: Command, manifest: Path) -> None:
    result = easymo("hpa", "tune", manifest, *RUN, "--limit", 1)
    assert result.exit_code == 1
    assert "No candidate keeps the limit of 1 s" in result.stdout


def test_the_command_refuses_what_simulate_refuses(easymo: Command, tmp_path: Path) -> None:
    (tmp_path / "hpa.yaml").write_text(HPA.replace("maxReplicas: 10", "maxReplicas: 1"))
    result = easymo("hpa", "tune", tmp_path / "hpa.yaml", *RUN)
    assert result.exit_code == 2
    assert "hpa.yaml:8:" in result.stderr
