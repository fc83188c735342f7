"""`verdict.json`: the result of a run, an interface that others read. Keys are added, never renamed."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from easymo.proof.errors import ProofError
from easymo.proof.verdict.answers import AnswersCompared
from easymo.proof.verdict.index_check import IndexCheck
from easymo.proof.verdict.judge import Decision, Verdict
from easymo.proof.verdict.simulated import Simulated

SCHEMA = 1
Mode = Literal["quick", "default", "full"]
#: Arms that the judge made by its treatments, two deployments that were already there, or two earlier runs.
Compared = Literal["treatments", "deployments", "runs"]


class Machine(Struct, frozen=True):
    """`cpu` is the processor's model name; `cores` those this process may use; `memory_bytes` of the machine."""

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    postgres: str
    cache: str


class HitRate(Struct, frozen=True):
    """Reads of one group during the comparison, and the share of them that were hits."""

    reads: int
    hit_ratio: float
    outcomes: dict[str, int]


class TriedRate(Struct, frozen=True):
    """One step of the search for a capacity. `p95_ms` is None when nothing was answered."""

    rate_rps: float
    held: bool
    why: str
    p95_ms: float | None
    error_ratio: float


class ArmResult(Struct, frozen=True):
    """One arm over all its comparison rounds. Percentiles come from the rounds' histograms added up.

    `error_ratio` has one entry per stress rate (keys are the rates of acceptance.toml).
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
    capacity_steps: list[TriedRate] = []


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


class GridCell(Struct, frozen=True):
    """One data size with one setting of the scenario. Capacities are those of the size, at the scenario's own setting.

    `repeat_read_ratio`: share of the rounds' reads whose key was read before in the same round, which is what the
    setting `repeat_read` came to. `changes`: per metric `[change, lo, hi]`, None for an open end. `verdicts`:
    per promise what this cell alone would say.
    """

    scale: str
    repeat_read: float
    rows: dict[str, int]
    rate_rps: float
    repeat_read_ratio: float | None
    capacity_rps: dict[str, float]
    changes: dict[str, list[float | None]]
    verdicts: dict[str, Decision]


class Flip(Struct, frozen=True):
    """Where the verdict of a promise turns: `between` two values of `axis`, while the other axis stays `at`."""

    promise: str
    axis: Literal["scale", "repeat_read"]
    at: str
    between: tuple[str, str]
    verdicts: tuple[Decision, Decision]


class BreakEven(Struct, frozen=True):
    """The grid of a full run. `outcome` says per promise where it was kept and where broken, in a few words."""

    scales: list[str]
    repeat_read: list[float]
    pairs: int
    round_s: float
    cells: list[GridCell]
    flips: list[Flip]
    outcome: dict[str, str]


class TableUpdates(Struct, frozen=True):
    """Rows of a table that were updated during the comparison, and the share that needed no new index entry (HOT)."""

    rows: int
    hot_ratio: float


class ArmWrites(Struct, frozen=True):
    """What writing cost in one arm, over its comparison rounds.

    `wal_bytes_per_write`: write-ahead log per statement that writes rows. `latency_ms`: per writing request its
    `p50` and `p95`; `change`: the same against the baseline, `[change, lo, hi]`.
    """

    wal_bytes_per_write: float | None
    db_writes: int
    index_bytes: int
    updates: dict[str, TableUpdates] = {}
    latency_ms: dict[str, dict[str, float]] = {}
    change: dict[str, dict[str, list[float]]] = {}


class Cold(Struct, frozen=True):
    """Rounds that began with an emptied cache: percentiles per arm, and per metric `[change, lo, hi]`.

    No promise is judged on them.
    """

    pairs: int
    round_s: float
    latency_ms: dict[str, dict[str, float]]
    changes: dict[str, list[float]]


class RequestResult(Struct, frozen=True):
    """One kind of request in the comparison rounds of one arm; `answers_differ` says how, when they do."""

    requests: int
    errors: int
    latency_ms: dict[str, float]
    statuses: dict[str, int] = {}
    answers_differ: str = ""


class Change(Struct, frozen=True):
    """What was compared, for whoever reads it later: the files by their name and text, scenario and its hash, limits,
    the revision of each side (with `+` when the checkout had changes), and the command line."""

    command: list[str] = []
    files: dict[str, str] = {}
    environment: dict[str, dict[str, str]] = {}
    scenario: str = ""
    scenario_sha256: str = ""
    limits: dict[str, float] = {}
    revisions: dict[str, str] = {}
    addresses: dict[str, list[str]] = {}


class VerdictFile(Struct, frozen=True):
    """The whole file.

    `aa`: per metric the interval of the baseline against itself. `attribution`: per arm and metric the change
    against the baseline with its interval, `[change, lo, hi]`: what each treatment brought alone and together.
    `names` says of an arm which treatments it has. `requests`: per arm and request name what came of the comparison.
    `trends`: per arm by how much its P50 rose or fell over the comparison, where that is no chance.
    `compared`: only with treatments was anything applied and taken back, and the data known. `simulated`: per arm
    what an autoscaler would make of its capacity. `cache_reads`: hit rates of the arm with every treatment.
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
    simulated: dict[str, Simulated] = {}
    index_check: IndexCheck | None = None
    cache_reads: dict[str, HitRate] = {}
    break_even: BreakEven | None = None
    write_cost: dict[str, ArmWrites] = {}
    cold: Cold | None = None
    names: dict[str, str] = {}
    answers: AnswersCompared | None = None
    requests: dict[str, dict[str, RequestResult]] = {}
    trends: dict[str, float] = {}
    change: Change | None = None


def read_verdict(path: Path) -> VerdictFile:
    """Read `verdict.json`; raises :class:`ProofError` when there is none or it is of another form."""
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
    """Write `value` as indented JSON with a final newline."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
