"""Which actions of a rollback are done, on disk before the next one begins, so that a second run goes on from there."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

JOURNAL = Path(".easymo") / "rollback.jsonl"
WHOLE = "all"
"""The goal of a rollback that takes every step."""


Event = Literal["started", "begun", "done", "finished"]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: a rollback is ``started`` (``action`` says how much of it), ``finished`` once nothing of that is left.

    Between the two an action is ``begun``, with what it notes, and ``done``.
    """

    at: str
    target: str
    event: Event
    action: str = ""
    noted: str = ""


class RollbackJournal:
    """The rollback that is under way on ``target``: what the runs since the last finished one have done."""

    def __init__(self, path: Path, target: str) -> None:
        self._path = path
        self._target = target
        self.started_at = ""
        self.finished_at = ""
        self._goal = ""
        self._done: set[str] = set()
        self._noted: dict[str, str] = {}
        for entry in _read(path):
            if entry.target == target:
                self._remember(entry)

    def is_done(self, action: str) -> bool:
        """Whether the rollback under way has done it."""
        return action in self._done

    def noted(self, action: str) -> str:
        """What an attempt at it that broke off has noted."""
        return self._noted.get(action, "")

    def start(self, goal: str) -> None:
        """A run that is to do ``goal``, a step or all, begins; it goes on with what is under way, if anything is."""
        if self._goal not in (goal, WHOLE):
            self._write("started", goal)

    def reached(self, goal: str) -> None:
        """The run has done all of ``goal``: if that is what was under way, the next run begins at the start."""
        if goal in (self._goal, WHOLE):
            self.finish()

    def begin(self, action: str, noted: str = "") -> None:
        """Before an action, and again when there is something to note."""
        self._write("begun", action, noted or self.noted(action))

    def done(self, action: str) -> None:
        """After it."""
        self._write("done", action)

    def finish(self) -> None:
        """Nothing is under way any more."""
        self._write("finished")

    def _remember(self, entry: Entry) -> None:
        if entry.event == "finished":
            self.started_at, self.finished_at, self._goal = "", entry.at, ""
            self._done.clear()
            self._noted.clear()
        elif entry.event == "started":
            self.started_at, self._goal = self.started_at or entry.at, entry.action
        elif entry.event == "done":
            self._done.add(entry.action)
        else:
            self._noted[entry.action] = entry.noted

    def _write(self, event: Event, action: str = "", noted: str = "") -> None:
        entry = Entry(datetime.now(UTC).isoformat(timespec="seconds"), self._target, event, action, noted)
        self._remember(entry)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _read(path: Path) -> Iterable[Entry]:
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            yield msgspec.json.decode(line, type=Entry)
        except msgspec.DecodeError:
            continue  # half a line of a run that was killed while it wrote: what it announced was not begun
