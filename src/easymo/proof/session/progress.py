"""Tells on standard error which step runs and how long the whole still takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

Plan = list[tuple[str, float]]


class StepProgress:
    """Steps of a plan with their expected seconds; a bar on a terminal, one line a step elsewhere."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._total_s = sum(seconds for _, seconds in plan)
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[left]}", markup=False),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("starting", total=self._total_s, left="")

    def __enter__(self) -> "StepProgress":
        self._line(f"{len(self._plan)} steps, {_about(self._total_s)} in all. Ctrl-C stops it and leaves nothing.")
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce the step ``name`` of the plan for the time of the block."""
        self._announce(name)
        began = time.monotonic()
        yield
        if self._bar is None:
            self._line(f"  done in {time.monotonic() - began:.1f} s")

    def note(self, text: str) -> None:
        """A detail within the running step."""
        if self._bar is None:
            self._line(f"  {text}")
        else:
            self._bar.console.print(f"  {text}", style="dim", markup=False, highlight=False)

    def _announce(self, name: str) -> None:
        names = [step for step, _ in self._plan]
        left_s = sum(seconds for _, seconds in self._plan[names.index(name) :])
        left = f"{_about(left_s)} left"
        if self._bar is None or self._task is None:
            self._line(f"{name} … ({left})")
        else:
            self._bar.update(self._task, description=name, completed=self._total_s - left_s, left=left)

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _about(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"
