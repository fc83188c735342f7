"""What the rules look at: the objects of a cluster as files describe them."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from easymo.hpa.errors import HpaError
from easymo.hpa.keda import scaled_object
from easymo.hpa.manifests import Document
from easymo.hpa.schema import DEFAULT_VERSION
from easymo.hpa.spec import Hpa, hpa_from
from easymo.hpa.workload import Workload, workload_of, workloads


class Severity(StrEnum):
    """An error keeps the autoscaler (or the pods it makes) from working; a warning is what a team regrets."""

    ERROR = "error"
    WARNING = "warning"


class Settings(Struct, frozen=True, kw_only=True):
    """What manifests do not say. ``longest_job_s`` is by workload; ``max_connections`` is Postgres' own setting, and
    ``pool_variable`` the environment variable that holds the pool size of one pod. `gates` are feature gates that are
    on although Kubernetes `version` has them off."""

    version: str = DEFAULT_VERSION
    max_connections: int | None = None
    pool_variable: str = "DATABASE_POOL_SIZE"
    longest_job_s: Mapping[str, int] = {}
    beside_pool: Mapping[str, int] = {}
    """Connections of a pod beside its pool, as for LISTEN, by workload."""
    gates: Sequence[str] = ()

    def has_gate(self, name: str) -> bool:
        """Whether the feature gate `name` is on."""
        return name in self.gates or _number(self.version) >= _number(GATES[name])


GATES = {"HPAScaleToZero": "1.37", "HPAConfigurableTolerance": "1.35"}
"""Feature gates of autoscalers with the version that turned each on."""


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


class Finding(Struct, frozen=True):
    """What a rule says about one object. ``line`` counts from 1; ``help`` is what to do."""

    rule: str
    severity: Severity
    file: str
    line: int
    message: str
    help: str


class Report(NamedTuple):
    """What a rule reports: where, what harm it does, what to do."""

    document: Document
    field: str
    message: str
    help: str


class Scaling(NamedTuple):
    """An autoscaler with what it scales."""

    document: Document
    hpa: Hpa
    workload: Workload


class Cluster:
    """The sound objects of one check."""

    def __init__(self, documents: Sequence[Document], settings: Settings) -> None:
        self.documents, self.settings = documents, settings
        self.workloads = workloads(documents)
        found = [document for document in documents if document.kind == "HorizontalPodAutoscaler"]
        self.autoscalers = [(document, hpa_from(document.content)) for document in found]
        self._objects: list[tuple[Document, Hpa]] = []
        self._notes: list[str] = []
        for document in documents:
            if document.kind == "ScaledObject":
                try:
                    self._objects.append((document, scaled_object(document)[0]))
                except (HpaError, AttributeError, KeyError, TypeError, ValueError) as error:  # no schema says its form
                    self._notes.append(f"{document.path}: the rules did not look at {document.name}: {error}")
        self._scalings = list(self._with_targets())

    def scalings(self) -> list[Scaling]:
        """The autoscalers whose target is here, those that KEDA will make among them."""
        return self._scalings

    def _with_targets(self) -> Iterator[Scaling]:
        rollouts = any(workload.document.kind == "Rollout" for workload in self.workloads)
        named: dict[str, list[Document]] = defaultdict(list)
        for candidate in self.workloads:
            named[candidate.name].append(candidate.document)
        for document, hpa in [*self.autoscalers, *self._objects]:
            workload = workload_of(document, self.documents if rollouts else named[hpa.target_name])
            if workload is not None:
                yield Scaling(document, hpa, workload)

    def notes(self) -> list[str]:
        """What could not be looked at."""
        notes = list(self._notes)
        if self.autoscalers and not self.workloads:
            away = ", ".join(f"{hpa.target_kind} {hpa.target_name}" for _, hpa in self.autoscalers)
            notes.append(f"not in these files, so the rules about them did not look: {away}")
        if self.settings.max_connections is None:
            notes.append("too-many-connections did not look: --max-connections says what Postgres allows")
        return notes


class Rule(NamedTuple):
    """A rule and the page that explains it, docs/reference/hpa-rules/``slug``.md."""

    slug: str
    severity: Severity
    check: Callable[[Cluster], Iterator[Report]]
