"""What can be wrong with a trace."""

from pathlib import Path


class TraceError(Exception):
    """A trace cannot be used: the file, the line (or the place in it), what is wrong there and what to do."""

    exit_code = 2

    def __init__(self, path: Path, place: int | str | None, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if place is None else f"{path}:{place}: {reason}")
        self.path, self.place, self.reason = path, place, reason
