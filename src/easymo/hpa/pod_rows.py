"""What is known of single pods, from a CSV: it replaces what the model would say of them.

The header is `pod`, `time` or `age`, and any of `ready`, `cpu` and `memory`. `pod` is a pod's number in the order of
creation, from 0, or its name (names are numbered by their first time), or `*` for every pod that the simulation
creates. `time` is that of the trace, `age` seconds since the pod was created. A row holds until the pod's next one; a
blank field leaves it to the model. `ready` is true or false; `cpu` and `memory` are quantities, or `none` where the
metrics API has no sample of the pod.
"""

import csv
import io
from pathlib import Path

from msgspec import Struct

from easymo.hpa.errors import HpaError, ManifestError
from easymo.hpa.quantity import milli
from easymo.trace.row import moment

NO_SAMPLE = "none"
_READY = {"": None, "true": True, "1": True, "false": False, "0": False}


class PodRow(Struct, frozen=True):
    """What holds from `at_s` on; None is left to the model."""

    at_s: float
    ready: bool | None = None
    cpu_m: int | str | None = None
    memory_m: int | str | None = None


class PodRows(Struct, frozen=True):
    """Rows by number of a pod at the times of the trace, and those of every new pod by its age."""

    by_number: dict[int, list[PodRow]]
    by_age: list[PodRow] = []

    @property
    def have_memory(self) -> bool:
        """Whether they say what some pod uses of it."""
        return any(row.memory_m is not None for rows in (self.by_age, *self.by_number.values()) for row in rows)

    def of(self, number: int, created_s: float) -> list[PodRow]:
        """The rows of a pod, in the order of time."""
        aged = [PodRow(created_s + row.at_s, row.ready, row.cpu_m, row.memory_m) for row in self.by_age]
        return self.by_number.get(number) or aged


def read_pod_rows(path: Path) -> PodRows:
    """Read what is known of single pods.

    Raises:
        ManifestError: for a file that is missing or of another form, with its line.
    """
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))
        header = [name.strip().lower() for name in reader.fieldnames or []]
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(path, 0, f"the pods cannot be read ({error}). Name a CSV with pod,time,ready.") from error
    clocks = [name for name in ("time", "age") if name in header]
    if "pod" not in header or len(clocks) != 1:
        raise ManifestError(path, 1, "the header must have pod, either time or age, and ready, cpu or memory.")
    reader.fieldnames = header
    named: dict[str, list[PodRow]] = {}
    for record in reader:
        try:
            row = _row(clocks[0], {key: (text or "").strip() for key, text in record.items() if isinstance(text, str)})
        except (HpaError, ValueError, KeyError) as error:
            raise ManifestError(path, reader.line_num, f"the row cannot be used: {error}") from error
        named.setdefault((record["pod"] or "").strip(), []).append(row)
    return _numbered(path, clocks[0], named)


def _row(clock: str, record: dict[str, str]) -> PodRow:
    used = {
        name: text if text == NO_SAMPLE else milli(text) if text else None
        for name, text in (("cpu_m", record.get("cpu", "")), ("memory_m", record.get("memory", "")))
    }
    return PodRow(moment(record[clock])[0], _READY[record.get("ready", "").lower()], **used)


def _numbered(path: Path, clock: str, named: dict[str, list[PodRow]]) -> PodRows:
    for rows in named.values():
        rows.sort(key=lambda row: row.at_s)
    every = named.pop("*", [])
    if (clock == "age") != bool(every) or (every and named):
        raise ManifestError(path, 1, "rows of the pod * have an age, those of any other pod a time.")
    numbers = {name: int(name) for name in named if name.isdigit()}
    others = sorted((name for name in named if name not in numbers), key=lambda name: named[name][0].at_s)
    numbers |= {name: number for number, name in enumerate(others)}
    return PodRows({numbers[name]: rows for name, rows in named.items()}, every)
