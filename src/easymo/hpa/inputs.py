"""What a simulation is made of, from files and words: autoscalers, their demand, the sources of their metrics."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from easymo.hpa.errors import HpaError
from easymo.hpa.keda import Keda, scaled_object
from easymo.hpa.manifests import Document, read_documents
from easymo.hpa.problems import accepted_autoscalers, refuse_problems
from easymo.hpa.quantity import milli
from easymo.hpa.rivals import rivals_of
from easymo.hpa.signals import Constant, Shared, Source
from easymo.hpa.spec import Hpa, hpa_from
from easymo.hpa.workload import workload_of
from easymo.trace.series import Series


class Scaled(Struct, frozen=True):
    """An autoscaler, where it stands, and what a pod of its target requests (:meth:`Workload.requests_m`)."""

    document: Document
    hpa: Hpa
    requests_m: dict[str, int] | None
    """None: its manifest is not known."""
    ambiguous_from: int | None = None
    """The number of the sync at which the controller finds another autoscaler of the same pods."""
    keda: Keda | None = None
    """What KEDA does beside it, if a ScaledObject made it."""

    def sources(self, sources: Mapping[str, Source], start_s: float, end_s: float) -> dict[str, Source]:
        """The part of `sources` that is about its metrics, and the schedules of its cron triggers."""
        names = {metric.name for metric in self.hpa.metrics}
        crons = {} if self.keda is None else self.keda.crons
        scheduled = {name: cron.series(start_s, end_s) for name, cron in crons.items()}
        return {**scheduled, **{name: source for name, source in sources.items() if name in names}}


def read_autoscalers(paths: Sequence[Path], names: Sequence[str] = ()) -> list[Scaled]:
    """The autoscalers in ``paths``, or those of ``names`` only.

    Raises:
        HpaError: for files without one, with one that the API server refuses, or without one of ``names``.
    """
    documents = read_documents(paths)
    objects = [document for document in documents if document.kind == "ScaledObject"]
    hpas = [document for document in documents if document.kind == "HorizontalPodAutoscaler"]
    accepted = accepted_autoscalers(documents) if hpas or not objects else []
    found = [_scaled(document, documents) for document in [*accepted, *objects]]
    known = {scaled.hpa.name for scaled in found}
    if missing := [name for name in names if name not in known]:
        raise HpaError(f"There is no autoscaler {missing[0]!r} in these files, only {', '.join(sorted(known))}.")
    return [scaled for scaled in found if not names or scaled.hpa.name in names]


def _scaled(document: Document, documents: Sequence[Document]) -> Scaled:
    workload = workload_of(document, documents)
    if workload is not None:
        refuse_problems(workload.document)
    requests_m = None if workload is None else workload.requests_m()
    is_keda = document.kind == "ScaledObject"
    hpa, keda = scaled_object(document) if is_keda else (hpa_from(document.content), None)
    return Scaled(document, hpa, requests_m, _ambiguous_from(document, documents), keda)


def _ambiguous_from(document: Document, documents: Sequence[Document]) -> int | None:
    """The controller learns of an autoscaler at its first sync, so the one that comes first acts once."""
    rivals = rivals_of(document, documents)
    first = next((d for d in documents if d is document or d in rivals), None)
    return int(first is document) if rivals else None


def demand_of(hpa: Hpa, traces: Mapping[str, Series]) -> Series:
    """The series of ``hpa``: the one of its name or of its target's, else the only one.

    Raises:
        HpaError: when there are several and none has such a name.
    """
    for name in (hpa.name, hpa.target_name, ""):
        if name in traces:
            return traces[name]
    if len(traces) == 1:
        return next(iter(traces.values()))
    raise HpaError(
        f"The trace has the series {', '.join(traces)}, and none is called {hpa.name} or {hpa.target_name}. "
        "Name the series after the autoscalers."
    )


def read_sources(texts: Sequence[str], traces: Mapping[str, Series], scaled: Sequence[Scaled]) -> dict[str, Source]:
    """``NAME`` (the trace is this metric) and `NAME=SERIES|BASE+SERIES|60%|queue|jobs|failing`, by metric name.

    Raises:
        HpaError: for a metric that no autoscaler has, or a series that the trace does not have.
    """
    known = sorted({metric.name for one in scaled for metric in one.hpa.metrics})
    sources: dict[str, Source] = {}
    for text in texts:
        name, _, source = text.partition("=")
        if name not in known:
            raise HpaError(f"No autoscaler here has a metric {name!r}. Their metrics: {', '.join(known)}.")
        if not source:
            sources[name] = "demand"
        elif source == "failing":
            sources[name] = "failing"
        elif source in ("queue", "jobs"):
            sources[name] = "queue" if source == "queue" else "jobs"
        elif found := re.fullmatch(r"(\d+(?:\.\d+)?)%", source):
            sources[name] = Constant(float(found[1]))
        elif source in traces:
            sources[name] = traces[source]
        elif "+" in source and (shared := source.partition("+")[2]) in traces:
            sources[name] = Shared(milli(source.partition("+")[0]), traces[shared])
        else:
            series = ", ".join(filter(None, traces)) or "no named series"
            raise HpaError(
                f"--metric {text}: the trace has {series}. Write NAME, NAME=SERIES, NAME=100Mi+SERIES, NAME=60% or "
                "NAME=failing."
            )
    return sources


class _Arm(Struct):
    capacity_rps: float | None


class _Verdict(Struct):
    arms: dict[str, _Arm]


def capacity_from(verdict: Path, arm: str) -> float:
    """Requests/s of one process of the measured system, from a ``verdict.json`` of ``easymo prove``.

    Raises:
        HpaError: when the file is not there, is no verdict, or measured no capacity of ``arm``.
    """
    try:
        found = msgspec.json.decode(verdict.read_bytes(), type=_Verdict)
    except OSError as error:
        raise HpaError(f"{verdict}: {error.strerror}. Run `easymo prove` first, or pass --capacity.") from error
    except msgspec.DecodeError as error:
        raise HpaError(
            f"{verdict} is no verdict of easymo prove ({error}). Name another, or pass --capacity."
        ) from error
    if arm not in found.arms:
        raise HpaError(f"{verdict} has the arms {', '.join(found.arms)}, not {arm!r}. Name one of them with --arm.")
    capacity = found.arms[arm].capacity_rps
    if capacity is None:
        raise HpaError(f"{verdict} has no capacity of arm {arm!r}. Run `easymo prove` again, or pass --capacity.")
    return capacity
