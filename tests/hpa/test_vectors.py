"""Test vectors of Kubernetes' own autoscaler, where they are: ``EASYMO_HPA_VECTORS`` names their folder."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from easymo.hpa.errors import MetricError
from tests.hpa.vectors import RUN

BESIDE_THE_REPO = Path(__file__).parents[3] / "shared" / "hpa"
ADVISORY = {"error_contains", "conditions_include", "upstream_message_contains"}


def folder() -> Path | None:
    named = os.environ.get("EASYMO_HPA_VECTORS")
    return next((f for f in (Path(named) if named else None, BESIDE_THE_REPO) if f is not None and f.is_dir()), None)


def cases() -> list[Any]:
    found = folder()
    files = sorted(found.glob("vectors_*.json")) if found else []
    documents = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return [pytest.param(d["kind"], c, id=f"{d['kind']}: {c['name']}") for d in documents for c in d["cases"]]


def test_the_vectors_are_here() -> None:
    if folder() is None:
        pytest.skip("NO TEST VECTORS: EASYMO_HPA_VECTORS names no folder, and there is none beside the repository")
    assert cases(), f"{folder()} holds no vectors_*.json"


@pytest.mark.parametrize(("kind", "case"), cases())
def test_the_engine_answers_as_kubernetes_does(kind: str, case: dict[str, Any]) -> None:
    assert kind in RUN, f"no runner for vectors of kind {kind}"
    expected = {name: value for name, value in case["expect"].items() if name not in ADVISORY}
    if "error_contains" in case["expect"]:
        with pytest.raises(MetricError):
            RUN[kind](case["in"])
        return
    if kind == "validation":
        expected["errors"] = {(e["field"], e["type"]) for e in expected["errors"]}
    found = RUN[kind](case["in"])
    assert {name: found[name] for name in expected} == expected
