"""``acceptance.toml``: how a system starts, what is changed in it, and what was promised.

Paths in it are relative to the folder of the file. Commands are lists of words with placeholders, and so are the values
of environments; the servers reach them as ``DATABASE_URL`` and ``REDIS_URL``, or part by part. All keys and
placeholders: docs/reference/acceptance.md.
"""

import re
import tomllib
import types
import typing
from pathlib import Path

import msgspec
from msgspec import Struct, field

from easymo.proof.errors import AcceptanceError
from easymo.proof.system import toml_lines
from easymo.proof.system.cache_reads import CacheCounters
from easymo.proof.verdict.promises import Promise
from easymo.proof.verdict.search import Capacity
from easymo.proof.verdict.simulated import Autoscaling

DEFAULT_FILE = "acceptance.toml"


#: Names of arms and scratch databases that a treatment's own arm cannot have.
ARM_NAMES = {"none", "both", "answers", "template", "control"}
TREATMENT_NAME = re.compile(r"[A-Za-z0-9][\w-]{0,19}")
ADDRESS_PARTS = ("url", "host", "port", "name", "user", "password")
#: One command (a list of words), or several (a list of such lists).
Commands = list[str | list[str]]


class Process(Struct, frozen=True, forbid_unknown_fields=True):
    """One process of the system: its command, and the path that answers 2xx once it can serve."""

    name: str
    start: list[str]
    ready: str = "/"
    environment: dict[str, str] = {}
    ready_within_s: float = 60.0


class System(Struct, frozen=True, forbid_unknown_fields=True):
    """What is measured.

    A folder is made ready by ``build``; the database by ``migrations`` (globs, applied in order, each one's files by
    name), then by ``prepare``, then by ``data``. ``checkout`` is the revision that runs without treatments; default is
    the folder of the file as it stands.
    """

    name: str
    processes: list[Process]
    build: Commands = []
    migrations: list[str] = []
    prepare: Commands = []
    data: Commands = []
    scale: str = "default"
    seed: int = 1
    environment: dict[str, str] = {}
    checkout: str = ""


class Load(Struct, frozen=True, forbid_unknown_fields=True):
    """The scenario file and how long and how often it is played: ``pairs`` of rounds of ``round_s`` seconds each.

    A full run plays ``cold_pairs`` more that begin with an emptied cache. ``writes`` are the names of those requests
    of the scenario that write: what they wait for the indexes is told apart.
    """

    scenario: str
    environment: dict[str, str] = {}
    round_s: float = 4.0
    warm_up_s: float = 0.5
    pairs: int = 10
    aa_pairs: int = 4
    cold_pairs: int = 4
    writes: list[str] = []


class Grid(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a full run looks for break-even: each data size of ``scales`` with each setting of ``repeat_read``.

    A setting is any number by which the scenario reads its keys again more or less often; it reaches the scenario by
    ``environment``, in which ``{repeat_read}`` is filled in. Each cell gets ``pairs`` of rounds of ``round_s`` seconds.
    """

    scales: list[str]
    repeat_read: list[float]
    environment: dict[str, str]
    pairs: int = 4
    round_s: float = 3.5


class Stress(Struct, frozen=True, forbid_unknown_fields=True):
    """Rates (requests/s) that were promised; each is offered to each arm for ``seconds``."""

    rates: list[int] = []
    seconds: float = 10.0


class Treatment(Struct, frozen=True, forbid_unknown_fields=True):
    """One change: SQL ``files``, commands (``apply``), ``environment``, or code (``checkout``), alone or together.

    Files that hold only CREATE INDEX statements are applied and taken back by :mod:`easymo.indexes`; any other SQL
    needs ``rollback`` files, and ``apply`` needs ``undo``. ``checkout`` is a revision: a branch, tag or commit, or "."
    for the folder of the file as it stands.
    """

    files: list[str] = []
    rollback: list[str] = []
    environment: dict[str, str] = {}
    apply: Commands = []
    undo: Commands = []
    checkout: str = ""


class Criterion(Struct, frozen=True, forbid_unknown_fields=True):
    """One row of an acceptance table and the command that checks it (exit 0 holds, 4 undecided, else does not hold)."""

    criterion: str
    target: str
    source: str
    check: list[str]


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """What was promised of one autoscaler. Nothing here is measured: tests compare the manifests with it.

    ``targets`` are percent of the request for ``cpu`` and ``memory``, and a value per pod for any other metric. Steps
    are written ``50%`` or ``2 pods``, with a period where the promise names one: ``2 pods/30s``.
    """

    source: str
    min_replicas: int
    max_replicas: int
    targets: dict[str, float]
    scale_up: list[str] = []
    scale_down: list[str] = []
    scale_down_after_s: int | None = None


class Beside(Struct, frozen=True, forbid_unknown_fields=True):
    """What the report shows beside the verdicts.

    ``index_check`` is a file that ``easymo indexes verify --json`` wrote: gain and price of each index.
    """

    autoscaling: Autoscaling | None = None
    cache_counters: CacheCounters | None = None
    index_check: str = ""


class Answering(Struct, frozen=True, forbid_unknown_fields=True):
    """How answers are compared before the rounds: `leave_out` are JSON pointers to what differs by nature.

    `*` stands for every member: `/calls/*/started_at`. A scenario file may have a function
    `normalise(request: str, body: bytes) -> bytes` for what no pointer can say.
    """

    leave_out: list[str] = []


class Acceptance(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    system: System
    load: Load
    treatments: dict[str, Treatment] = {}
    capacity: Capacity = field(default_factory=Capacity)
    stress: Stress = field(default_factory=Stress)
    answers: Answering = field(default_factory=Answering)
    break_even: Grid | None = None
    report: Beside = field(default_factory=Beside)
    promises: list[Promise] = []
    criteria: list[Criterion] = []
    policies: dict[str, Policy] = {}


def read_acceptance(path: Path) -> Acceptance:
    """Read and check ``path``; raises :class:`AcceptanceError` with file, line and what is allowed."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AcceptanceError(path, None, f"it cannot be read ({error}). Name another: --acceptance FILE.") from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        raise AcceptanceError(path, int(found[1]) if found else None, f"not valid TOML: {error}.") from error
    lines = toml_lines.key_lines(text)
    try:
        acceptance = msgspec.convert(raw, Acceptance)
    except msgspec.ValidationError as error:
        raise _located(path, lines, str(error)) from error
    _check_meaning(path, lines, acceptance)
    return acceptance


def commands_of(given: Commands) -> list[list[str]]:
    """The commands one by one; raises ValueError for words beside commands, and for an empty command."""
    words = [item for item in given if isinstance(item, str)]
    commands = [item for item in given if not isinstance(item, str)]
    if words and commands:
        raise ValueError('words stand beside commands: write one command ["a", "b"] or several [["a"], ["b", "c"]]')
    found = [words] if words else commands
    for command in found:
        if not command or not command[0].strip():
            raise ValueError('an empty command: write its words, such as ["alembic", "upgrade", "head"]')
        if " " in command[0] and not Path(command[0]).exists():
            split = ", ".join(f'"{word}"' for word in command[0].split())
            raise ValueError(f"{command[0]!r} is no program: a command is a list of words, [{split}]")
    return found


def files_of(patterns: list[str], root: Path) -> list[Path]:
    """Files below ``root`` that ``patterns`` (globs) name: patterns in their order, each one's files by name."""
    found = [file for pattern in patterns for file in sorted(root.glob(pattern))]
    return list(dict.fromkeys(found))


def _located(path: Path, lines: dict[toml_lines.Path, int], message: str) -> AcceptanceError:
    sentence, _, where = message.partition(" - at ")
    keys = _keys(where)
    allowed = ""
    if unknown := re.match(r"Object contains unknown field `(.+)`", sentence):
        allowed = ", ".join(_fields(keys))
        keys = (*keys, unknown[1])
        sentence = f"unknown key {unknown[1]!r}"
    elif missing := re.match(r"Object missing required field `(.+)`", sentence):
        sentence = f"the key {missing[1]!r} is missing"
        allowed = ", ".join(_fields(keys))
    elif sentence.startswith("Invalid enum value"):
        allowed = "change, level"
    name = ".".join(str(key) for key in keys)
    return AcceptanceError(path, toml_lines.line_of(lines, keys), f"{sentence} at {name or 'the top'}.", allowed)


def _keys(where: str) -> toml_lines.Path:
    found = re.findall(r"\.([\w-]+)|\[(\d+)\]|\[(\.\.\.)\]", where.strip().strip("`"))
    return tuple(int(index) if index else (name or dots) for name, index, dots in found)


def _fields(keys: toml_lines.Path) -> list[str]:
    """Names of the keys that the table at ``keys`` may have."""
    kind: typing.Any = Acceptance
    for key in keys:
        if isinstance(kind, type) and issubclass(kind, Struct):
            kind = typing.get_type_hints(kind).get(str(key), str)
        else:
            kind = (typing.get_args(kind) or (str,))[-1]
        if isinstance(kind, types.UnionType):
            kind = next(member for member in typing.get_args(kind) if member is not types.NoneType)
    return list(kind.__struct_fields__) if isinstance(kind, type) and issubclass(kind, Struct) else []


def _check_meaning(path: Path, lines: dict[toml_lines.Path, int], acceptance: Acceptance) -> None:
    def refuse(keys: toml_lines.Path, problem: str, allowed: str = "") -> typing.NoReturn:
        raise AcceptanceError(path, toml_lines.line_of(lines, keys), problem, allowed)

    seen: set[str] = set()
    for index, promise in enumerate(acceptance.promises):
        if (problem := promise.problem()) is not None:
            key, sentence, allowed = problem
            refuse(("promises", index, key), sentence, allowed)
        if promise.id in seen:
            refuse(("promises", index, "id"), f"the promise id {promise.id!r} is used twice.", "one id per promise")
        seen.add(promise.id)
        rate = re.match(r"error_ratio@(\d+)$", promise.metric)
        if rate and int(rate[1]) not in acceptance.stress.rates:
            rates = ", ".join(map(str, acceptance.stress.rates)) or "none: add the rate to [stress]"
            refuse(("promises", index, "metric"), f"no stress round runs at {rate[1]} requests/s.", rates)
    if not acceptance.system.processes:
        refuse(("system",), "no [[system.processes]] is given, so there is nothing to measure.", "name, start, ready")
    _check_commands(refuse, acceptance)
    _check_addresses(refuse, acceptance.system)
    if acceptance.break_even is not None:
        _check_grid(refuse, acceptance.break_even)
    _check_files(path, refuse, acceptance)


def _check_commands(refuse: typing.Callable[..., typing.NoReturn], acceptance: Acceptance) -> None:
    given: list[tuple[toml_lines.Path, Commands]] = [
        (("system", key), getattr(acceptance.system, key)) for key in ("build", "prepare", "data")
    ]
    given += [
        (("treatments", name, key), getattr(treatment, key))
        for name, treatment in acceptance.treatments.items()
        for key in ("apply", "undo")
    ]
    given += [(("system", "processes", n, "start"), list(p.start)) for n, p in enumerate(acceptance.system.processes)]
    for keys, commands in given:
        try:
            commands_of(commands)
        except ValueError as error:
            refuse(keys, f"{error}.")
    for name, treatment in acceptance.treatments.items():
        if not TREATMENT_NAME.fullmatch(name) or name in ARM_NAMES:
            refuse(("treatments", name), f"a treatment cannot be named {name!r}.", "up to 20 letters, digits, - and _")
        if treatment.apply and not treatment.undo:
            refuse(
                ("treatments", name, "apply"), f"treatment {name!r} has no `undo` command that takes it back.", "undo"
            )
    code = [name for name, treatment in acceptance.treatments.items() if treatment.checkout]
    if len(code) > 1:
        refuse(
            ("treatments", code[1], "checkout"),
            f"the treatments {code[0]!r} and {code[1]!r} name a checkout each, and a process runs one revision.",
            "one checkout in all; merge the branches",
        )


def _check_addresses(refuse: typing.Callable[..., typing.NoReturn], system: System) -> None:
    names = [process.name for process in system.processes]
    texts: list[tuple[toml_lines.Path, str]] = [
        (("system", "environment", key), value) for key, value in system.environment.items()
    ]
    for index, process in enumerate(system.processes):
        if process.name in names[:index]:
            refuse(
                ("system", "processes", index, "name"), f"two processes are named {process.name!r}.", "one name each"
            )
        texts += [(("system", "processes", index, "start"), word) for word in process.start]
        of_process = ("system", "processes", index, "environment")
        texts += [((*of_process, key), value) for key, value in process.environment.items()]
    for keys, text in texts:
        if keys[-1] == "DATABASE_URL" and "{database_" not in text:
            refuse(
                keys,
                "DATABASE_URL names one database for all arms: the measured changes would meet in it.",
                '"{database_url}", or its parts such as "postgresql+asyncpg://{database_user}:{database_password}'
                '@{database_host}:{database_port}/{database_name}"',
            )
        for name in re.findall(r"\{((?:database|redis)_\w*)\}", text):
            if name.partition("_")[2] not in ADDRESS_PARTS:
                refuse(keys, f"{{{name}}} is no part of an address.", ", ".join(ADDRESS_PARTS))
        for name in re.findall(r"\{url:([^}]*)\}", text):
            if name not in names:
                refuse(keys, f"{{url:{name}}} names no process of this system.", ", ".join(names))


def _check_grid(refuse: typing.Callable[..., typing.NoReturn], grid: Grid) -> None:
    for key, values in (("scales", grid.scales), ("repeat_read", grid.repeat_read)):
        if not values or len(set(values)) < len(values):
            refuse(("break_even", key), f"{key} must name at least one value and none of them twice.")
    if not any("{repeat_read}" in value for value in grid.environment.values()):
        refuse(
            ("break_even", "environment"),
            "no value holds {repeat_read}, so every setting would play the same scenario.",
            'VARIABLE = "{repeat_read}"',
        )
    if grid.pairs < 2:
        refuse(("break_even", "pairs"), "an interval needs two pairs of rounds at least.", "2 or more")


def _check_files(path: Path, refuse: typing.Callable[..., typing.NoReturn], acceptance: Acceptance) -> None:
    root = path.resolve().parent
    if not (root / acceptance.load.scenario).is_file():
        refuse(
            ("load", "scenario"), f"the scenario file {acceptance.load.scenario!r} does not exist below {root.name}/."
        )
    shown = acceptance.report
    if shown.index_check and not (root / shown.index_check).is_file():
        refuse(("report", "index_check"), f"the file {shown.index_check!r} does not exist.")
    for manifest in shown.autoscaling.manifests if shown.autoscaling is not None else ():
        if not (root / manifest).is_file():
            refuse(("report", "autoscaling", "manifests"), f"the manifest {manifest!r} does not exist.")
    for pattern in acceptance.system.migrations:
        if not files_of([pattern], root):
            refuse(("system", "migrations"), f"no file matches {pattern!r}.")
    for name, treatment in acceptance.treatments.items():
        for key, files in (("files", treatment.files), ("rollback", treatment.rollback)):
            for file in files:
                if not (root / file).is_file():
                    refuse(("treatments", name, key), f"the file {file!r} of treatment {name!r} does not exist.")
        if not (treatment.files or treatment.environment or treatment.apply or treatment.checkout):
            refuse(("treatments", name), f"treatment {name!r} changes nothing.", "files, environment, apply, checkout")
