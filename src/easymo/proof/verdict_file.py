"""``verdict.json``: the result of a run, an interface that others read. Keys are added, never renamed."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from easymo.proof.errors import ProofError
from easymo.proof.machine import Machine
from easymo.proof.verdicts import Verdict

SCHEMA = 1
Mode = Literal["quick", "default", "full"]
#: Arms that the judge made by its treatments, two deployments that were already there, or two earlier runs.
Compared = Literal["treatments", "deployments", "runs"]


class ArmResult(Struct, frozen=True):
    """One arm over all its comparison rounds. Percentiles come from the rounds' histograms added up.

    ``error_ratio`` has one entry per stress rate (keys are the rates of acceptance.toml).
    """

    capacity_rps: float | None
    latency_ms: dict[str, float]
    at_rps: float | None
    error_ratio: dict[str, float]
    db_statements_per_request: float | None
    cpu_ratio: float | None
    rss_bytes: int | None
    db_connections: int | None
    capacity_failed_rps: float | None = None
    cpu_parts: dict[str, float] = {}
    repeat_read_ratio: float | None = None
    statuses: dict[str, int] = {}


class AppliedIndex(Struct, frozen=True):
    """An index that the treatment built, while the system was writing."""

    name: str
    seconds: float
    bytes: int


class Applied(Struct, frozen=True):
    """The treatments' own cost: seconds to apply them in all, and what a request waited meanwhile."""

    seconds: float
    indexes: list[AppliedIndex] = []
    rate_rps: float | None = None
    latency_ms: dict[str, float] = {}
    error_ratio: float | None = None


class Scale(Struct, frozen=True):
    """The data: the size's name as the data command knows it, its seed, and rows per table (Postgres' own estimate)."""

    name: str
    seed: int
    rows: dict[str, int]


class Rollback(Struct, frozen=True):
    """Seconds to take every treatment back, and whether the schema then equalled the one before."""

    seconds: float
    schema_restored: bool


class VerdictFile(Struct, frozen=True):
    """The whole file.

    ``aa``: per metric the interval of the baseline against itself. ``attribution``: per arm and metric the change
    against the baseline with its interval, ``[change, lo, hi]``: what each treatment brought alone and together.
    ``compared``: only with treatments was anything applied and taken back, and the data known.
    """

    schema: int
    mode: Mode
    valid: bool
    created: str
    git: str | None
    machine: Machine
    scale: Scale
    baseline_indexes: list[str]
    arms: dict[str, ArmResult]
    promises: list[Verdict]
    rollback: Rollback
    system: str = ""
    applied: Applied | None = None
    aa: dict[str, list[float]] = {}
    attribution: dict[str, dict[str, list[float]]] = {}
    notes: list[str] = []
    seconds: float = 0.0
    compared: Compared = "treatments"


def read_verdict(path: Path) -> VerdictFile:
    """Read ``verdict.json``; raises :class:`ProofError` when there is none or it is of another form."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=VerdictFile)
    except OSError as error:
        raise ProofError(f"No verdict at {path}: {error.strerror}. Run `easymo prove` first.") from error
    except msgspec.DecodeError as error:
        raise ProofError(f"{path} is no verdict of schema {SCHEMA}: {error}. Run `easymo prove` again.") from error
    if found.schema != SCHEMA:
        raise ProofError(f"{path} has schema {found.schema}, this version reads {SCHEMA}. Run `easymo prove` again.")
    return found


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as indented JSON with a final newline."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
