"""Manifests that a kube-apiserver 1.36.2 was sent, and whether it would have stored them: `verdicts.json.zlib`."""

import json
import zlib
from copy import deepcopy
from pathlib import Path
from typing import Any

from easymo.hpa.errors import ManifestError
from easymo.hpa.manifests import parse
from easymo.hpa.problems import problems

RECORDED = json.loads(zlib.decompress((Path(__file__).parent / "verdicts.json.zlib").read_bytes()))


def manifest(verdict: dict[str, Any]) -> dict[str, Any]:
    """What was sent: an object, or a base with one value changed."""
    if "object" in verdict:
        sent: dict[str, Any] = verdict["object"]
        return sent
    changed: dict[str, Any] = deepcopy(RECORDED["bases"][verdict["base"]])
    if not verdict["path"]:
        return changed
    *way, last = verdict["path"]
    place: Any = changed
    for key in way:
        place = place[key]
    if verdict.get("delete"):
        del place[last]
    else:
        place[last] = verdict["value"]
    return changed


def accepted(content: dict[str, Any]) -> bool:
    try:
        return not any(
            problem for document in parse("sent", json.dumps(content)) for problem in problems(document, "1.36")
        )
    except ManifestError:
        return False


def test_check_agrees_with_the_api_server_and_refuses_nothing_that_it_takes() -> None:
    verdicts = RECORDED["verdicts"]
    assert len(verdicts) == 2021
    other = [verdict for verdict in verdicts if accepted(manifest(verdict)) != verdict["accepted"]]
    assert [verdict["id"] for verdict in other if verdict["accepted"]] == []
    assert len(other) <= len(verdicts) * 0.005, [verdict["id"] for verdict in other]
