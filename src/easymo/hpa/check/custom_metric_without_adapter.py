"""A custom metric that nothing in the files gives."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import re2

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity
from easymo.hpa.decode import DecodeError, decode
from easymo.hpa.manifests import Document

_OTHER_ADAPTERS = re.compile(r".*[|@/].*|s\d+-.+|datadog.*", re.DOTALL)
"""Names that Stackdriver (`|`), Datadog (`datadogmetric@…`), KEDA (`s0-…`) and clouds (`/`) have."""


def check(cluster: Cluster) -> Iterator[Report]:
    given = {kind: set(_given(cluster.documents, kind)) for kind in ("rules", "externalRules")}
    for document, hpa in cluster.autoscalers:
        for index, metric in enumerate(hpa.metrics):
            kind = {"Pods": "rules", "Object": "rules", "External": "externalRules"}.get(metric.type)
            if kind is None or metric.name in given[kind]:
                continue
            of_prometheus = f" (prometheus-adapter: {metric.name} under {kind})"
            others = "still grows by its other metrics, but never shrinks" if hpa.metrics[1:] else "never moves"
            yield Report(
                document,
                f"spec.metrics[{index}]",
                f"Nothing in these files gives {metric.name}. Without a source the metric fails: {hpa.name} {others}.",
                "Check the configuration of your metrics adapter, too"
                f"{'' if _OTHER_ADAPTERS.fullmatch(metric.name) else of_prometheus}.",
            )


def _given(documents: Sequence[Document], kind: str) -> Iterator[str]:
    """The metrics that the prometheus-adapter rules of ``kind`` in ConfigMaps give."""
    for document in documents:
        if document.kind == "ConfigMap":
            for text in islice((document.content.get("data") or {}).values(), 100):
                names = (_name(rule) for rule in _rules(text, kind))
                yield from (name for name in names if name is not None)


def _rules(text: str, kind: str) -> list[dict[str, Any]]:
    if f"{kind}:" not in text:
        return []
    found = next(decode(text), None)
    config = None if found is None or isinstance(found, DecodeError) else found.content
    rules = config.get(kind) if isinstance(config, dict) else None
    return [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []


def _name(rule: dict[str, Any]) -> str | None:
    """The metric's name: that of the series, changed as ``name`` says; None where that cannot be known."""
    series = re.match(r"[a-zA-Z_:][\w:]*", str(rule.get("seriesQuery") or ""), re.ASCII)
    naming = rule.get("name")
    naming = naming if isinstance(naming, dict) else {}
    matches, wanted = str(naming.get("matches") or ".*"), str(naming.get("as") or "")
    if series is None:
        return wanted if wanted and "$" not in wanted else None
    try:
        expression = re2.compile(matches, re2_quietly())
        found = expression.search(series[0])
    except re2.error:
        return None  # the adapter does not start with it
    if found is None:
        return None
    if not wanted:
        return str(found[1] if found.re.groups else series[0])
    groups = {str(n): found[n] or "" for n in range(found.re.groups + 1)}
    groups |= {name: found[name] or "" for name in expression.groupindex}
    expanded = re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda part: groups.get(part[1] or part[2], ""), wanted)
    return f"{series[0][: found.start()]}{expanded}{series[0][found.end() :]}" or None


def re2_quietly() -> Any:
    """Without lines on standard error about an expression that is refused."""
    options = re2.Options()
    options.log_errors = False
    return options


RULE = Rule("custom-metric-without-adapter", Severity.WARNING, check)
