"""Findings about autoscalers and what they scale: what Kubernetes refuses, and what a team regrets.

``check(documents, settings)`` gives what the rules find. A comment ``# easymo:ignore <rule> <reason>`` in an object
silences one rule for it. Every rule has a page of its name in docs/reference/hpa-rules.
"""

import re
from collections.abc import Sequence

from easymo.hpa.check import (
    custom_metric_without_adapter,
    doubled_name,
    field_without_gate,
    grace_shorter_than_job,
    memory_as_target,
    min_equals_max,
    no_disruption_budget,
    no_surge_in_connection_budget,
    percent_on_few_replicas,
    replicas_in_scaled_workload,
    scale_down_disabled,
    sidecar_dilution,
    target_not_in_files,
    target_type_mismatch,
    too_many_connections,
    two_autoscalers_one_workload,
    undrainable_budget,
    unreachable_utilization,
    utilization_without_requests,
    window_without_rate,
)
from easymo.hpa.check.cluster import Cluster, Finding, Report, Rule, Settings, Severity
from easymo.hpa.errors import ManifestError
from easymo.hpa.manifests import Document
from easymo.hpa.problems import is_read, no_autoscaler, problems
from easymo.hpa.rivals import KINDS

RULES: tuple[Rule, ...] = (
    utilization_without_requests.RULE,
    two_autoscalers_one_workload.RULE,
    too_many_connections.RULE,
    no_surge_in_connection_budget.RULE,
    replicas_in_scaled_workload.RULE,
    memory_as_target.RULE,
    custom_metric_without_adapter.RULE,
    target_type_mismatch.RULE,
    unreachable_utilization.RULE,
    target_not_in_files.RULE,
    doubled_name.RULE,
    field_without_gate.RULE,
    window_without_rate.RULE,
    scale_down_disabled.RULE,
    percent_on_few_replicas.RULE,
    no_disruption_budget.RULE,
    undrainable_budget.RULE,
    grace_shorter_than_job.RULE,
    min_equals_max.RULE,
    sidecar_dilution.RULE,
)
_REFUSED = {
    "schema": "Write the field as the API of that version has it.",
    "api-server": "Correct the field: kubectl apply would fail here.",
}
_IGNORE = re.compile(r"#\s*easymo:ignore\s+(?P<rule>[a-z-]+)[ \t]+\S")

__all__ = ["RULES", "Finding", "Settings", "Severity", "check"]


def check(
    documents: Sequence[Document], settings: Settings, unreadable: Sequence[ManifestError] = ()
) -> tuple[list[Finding], list[str]]:
    """What is found, in the order of the files and lines, and a note for everything that could not be looked at.

    `unreadable` files are findings, too.

    Raises:
        ManifestError: when there is no autoscaler among what can be read.
        HpaError: for a Kubernetes version without a schema.
    """
    if not unreadable and not any(document.kind in KINDS for document in documents):
        raise no_autoscaler(documents)
    found = [
        Finding("unreadable-file", Severity.ERROR, str(e.path), e.line or 1, e.reason, "The other files are checked.")
        for e in unreadable
    ]
    sound: list[Document] = []
    for document in documents:
        refused = _refused(document, settings)
        found += refused
        if not any(finding.severity is Severity.ERROR for finding in refused) and is_read(document):
            sound.append(document)
    notes: dict[str, None] = {}
    for root in dict.fromkeys(document.root for document in sound):
        cluster = Cluster([document for document in sound if document.root in ("", root)], settings)
        for rule in RULES:
            reports = [report for report in rule.check(cluster) if rule.slug not in _ignored(report.document)]
            found += [_finding(rule, report) for report in reports]
        notes |= dict.fromkeys(cluster.notes())
    places = {path: place for place, path in enumerate(dict.fromkeys(document.path for document in documents))}
    found.sort(key=lambda finding: (places.get(finding.file, -1), finding.file, finding.line))
    return list(dict.fromkeys(found)), list(notes)


def _refused(document: Document, settings: Settings) -> list[Finding]:
    zero = settings.has_gate("HPAScaleToZero")
    refused = [
        Finding(problem.rule, Severity.ERROR, document.path, problem.line, problem.message, _REFUSED[problem.rule])
        for problem in problems(document, settings.version, scale_to_zero=zero)
    ]
    for line, key in document.doubled:
        message = f"The key {key!r} stands twice. kubectl takes the last, kustomize refuses the file."
        refused.append(Finding("doubled-key", Severity.WARNING, document.path, line, message, "Remove one."))
    return refused


def _finding(rule: Rule, report: Report) -> Finding:
    line = report.document.line(report.field)
    return Finding(rule.slug, rule.severity, report.document.path, line, report.message, report.help)


def _ignored(document: Document) -> set[str]:
    return {match["rule"] for match in _IGNORE.finditer(document.source)}
