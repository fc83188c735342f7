"""What a simulation is made of, from files and words: autoscalers, their demand, the sources of their metrics."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from easymo.hpa.errors import HpaError
from easymo.hpa.manifests import Document, read_documents
from easymo.hpa.problems import accepted_autoscalers, refuse_problems
from easymo.hpa.signals import Constant, Source
from easymo.hpa.spec import Hpa, hpa_from
from easymo.hpa.workload import workload_of
from easymo.trace.series import Series


class Scaled(Struct, frozen=True):
    """An autoscaler, where it stands, and what a pod of its target requests (:meth:`Workload.requests_m`)."""

    document: Document
    hpa: Hpa
    requests_m: dict[str, int] | None
    """None: its manifest is not known."""


def read_autoscalers(paths: Sequence[Path], names: Sequence[str] = ()) -> list[Scaled]:
    """The autoscalers in ``paths``, or those of ``names`` only.

    Raises:
        HpaError: for files without one, with one that the API server refuses, or without one of ``names``.
    """
    documents = read_documents(paths)
    found = [_scaled(document, documents) for document in accepted_autoscalers(documents)]
    known = {scaled.hpa.name for scaled in found}
    if missing := [name for name in names if name not in known]:
        raise HpaError(f"There is no autoscaler {missing[0]!r} in these files, only {', '.join(sorted(known))}.")
    return [scaled for scaled in found if not names or scaled.hpa.name in names]


def _scaled(document: Document, documents: Sequence[Document]) -> Scaled:
    workload = workload_of(document, documents)
    if workload is not None:
        refuse_problems(workload.document)
    return Scaled(document, hpa_from(document.content), None if workload is None else workload.requests_m())


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
    """``NAME`` (the trace is this metric) and ``NAME=SERIES|60%|queue|jobs|failing``, by metric name.

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
        else:
            series = ", ".join(filter(None, traces)) or "no named series"
            raise HpaError(
                f"--metric {text}: the trace has {series}. Write NAME, NAME=SERIES, NAME=60% or NAME=failing."
            )
    return sources


def sources_of(hpa: Hpa, sources: Mapping[str, Source]) -> dict[str, Source]:
    """The part of ``sources`` that is about metrics of ``hpa``."""
    names = {metric.name for metric in hpa.metrics}
    return {name: source for name, source in sources.items() if name in names}


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
