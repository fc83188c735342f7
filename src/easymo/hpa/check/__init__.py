"""Findings about autoscalers and what they scale: what Kubernetes refuses, and what a team regrets.

``check(documents, settings)`` gives what the rules find. A comment ``# easymo:ignore <rule> <reason>`` in an object
silences one rule for it. Every rule has a page of its name in docs/reference/hpa-rules.
"""

import re
from collections.abc import Sequence

from easymo.hpa.check import (
    custom_metric_without_adapter,
    grace_shorter_than_job,
    memory_as_target,
    min_equals_max,
    no_disruption_budget,
    percent_on_few_replicas,
    replicas_in_scaled_workload,
    sidecar_dilution,
    too_many_connections,
    utilization_without_requests,
    window_without_rate,
)
from easymo.hpa.check.cluster import Cluster, Finding, Report, Rule, Settings, Severity
from easymo.hpa.manifests import Document, autoscalers
from easymo.hpa.problems import Problem, problems

RULES: tuple[Rule, ...] = (
    utilization_without_requests.RULE,
    too_many_connections.RULE,
    replicas_in_scaled_workload.RULE,
    memory_as_target.RULE,
    custom_metric_without_adapter.RULE,
    window_without_rate.RULE,
    percent_on_few_replicas.RULE,
    no_disruption_budget.RULE,
    grace_shorter_than_job.RULE,
    min_equals_max.RULE,
    sidecar_dilution.RULE,
)
_REFUSED = {
    "schema": "Write the field as the API of that version has it.",
    "api-server": "Mend the field: kubectl apply would fail here.",
}
_IGNORE = re.compile(r"#\s*easymo:ignore\s+(?P<rule>[a-z-]+)[ \t]+\S")

__all__ = ["RULES", "Finding", "Settings", "Severity", "check"]


def check(documents: Sequence[Document], settings: Settings) -> tuple[list[Finding], list[str]]:
    """What is found, in the order of the files and lines, and a note for everything that could not be looked at.

    Raises:
        ManifestError: when there is no autoscaler, or one of an API version that is gone.
        HpaError: for a Kubernetes version without a schema.
    """
    autoscalers(documents)
    found: list[Finding] = []
    sound: list[Document] = []
    for document in documents:
        refused = [_refused(document, problem) for problem in problems(document, settings.version)]
        found += refused
        if not refused:
            sound.append(document)
    cluster = Cluster(sound, settings)
    for rule in RULES:
        reports = [report for report in rule.check(cluster) if rule.slug not in _ignored(report.document)]
        found += [_finding(rule, report) for report in reports]
    paths = list(dict.fromkeys(document.path for document in documents))
    return sorted(found, key=lambda f: (paths.index(f.file), f.line)), cluster.notes()


def _refused(document: Document, problem: Problem) -> Finding:
    help_line = _REFUSED[problem.rule]
    return Finding(problem.rule, Severity.ERROR, document.path, problem.line, problem.message, help_line)


def _finding(rule: Rule, report: Report) -> Finding:
    line = report.document.line(report.field)
    return Finding(rule.slug, rule.severity, report.document.path, line, report.message, report.help)


def _ignored(document: Document) -> set[str]:
    return {match["rule"] for match in _IGNORE.finditer(document.source)}
