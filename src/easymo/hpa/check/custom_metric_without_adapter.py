"""A custom metric that no adapter rule gives."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity
from easymo.hpa.manifests import Document


def check(cluster: Cluster) -> Iterator[Report]:
    given = {kind: set(_given(cluster.documents, kind)) for kind in ("rules", "externalRules")}
    for document, hpa in cluster.autoscalers:
        for index, metric in enumerate(hpa.metrics):
            kind = {"Pods": "rules", "Object": "rules", "External": "externalRules"}.get(metric.type)
            if kind is not None and metric.name not in given[kind]:
                yield Report(
                    document,
                    f"spec.metrics[{index}]",
                    f"No adapter rule in these files gives {metric.name}. Without one the metric fails: {hpa.name} "
                    "still grows by its other metrics, but never shrinks.",
                    f"Check the prometheus-adapter's configuration too, with {metric.name} under {kind}.",
                )


def _given(documents: Sequence[Document], kind: str) -> Iterator[str]:
    """The metrics that the prometheus-adapter rules of ``kind`` in ConfigMaps give."""
    for document in documents:
        if document.kind != "ConfigMap":
            continue
        for text in (document.content.get("data") or {}).values():
            for rule in _rules(text, kind):
                name = _name(rule)
                if name is not None:
                    yield name


def _rules(text: str, kind: str) -> list[dict[str, Any]]:
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        return []  # some other configuration
    return [rule for rule in config.get(kind) or [] if isinstance(rule, dict)] if isinstance(config, dict) else []


def _name(rule: dict[str, Any]) -> str | None:
    """The metric's name: that of the series, changed as ``name`` says."""
    series = re.match(r"[a-zA-Z_:][\w:]*", str(rule.get("seriesQuery") or ""))
    naming = rule.get("name") or {}
    matches, wanted = naming.get("matches") or ".*", naming.get("as")
    if series is None:
        return wanted if wanted and "$" not in wanted else None
    found = re.fullmatch(matches.removeprefix("^").removesuffix("$"), series[0])
    if found is None:
        return None
    if not wanted:
        return found[1] if found.groups() else found[0]
    return found.expand(re.sub(r"\$\{?(\d+)\}?", r"\\g<\1>", wanted))


RULE = Rule("custom-metric-without-adapter", Severity.WARNING, check)
