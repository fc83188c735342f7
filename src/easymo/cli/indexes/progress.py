"""What apply and rollback show while they work."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # the engine needs the extra `indexes`: other commands must start without it
    from easymo.indexes import Progress
    from easymo.indexes.watch import Glimpse


@contextmanager
def progress() -> "Iterator[tuple[Callable[[Progress], None], Callable[[Glimpse], None] | None]]":
    """A bar on a terminal, a line for each event elsewhere."""
    if not sys.stderr.isatty():
        yield _say, None
        return
    from rich.console import Console  # here, because --help must be quick
    from rich.progress import Progress as ProgressBar

    with ProgressBar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def watch(glimpse: "Glimpse") -> None:
            blocker = f", behind {glimpse.blocker_pid}: {glimpse.blocker_query}" if glimpse.blocker_pid else ""
            ratio = glimpse.done_ratio
            bar.update(task, description=f"{glimpse.index}: {glimpse.phase}{blocker}", completed=ratio or 0)
            bar.update(task, total=None if ratio is None else 1)

        yield _say, watch


def _say(progress: "Progress") -> None:
    line = f"{progress.position}/{progress.total} {progress.event} {progress.index}"
    if progress.event == "wait":
        line += f": no lock in attempt {progress.attempt}, next in {progress.delay.total_seconds():.1f} s"
    typer.echo(line, err=True)
