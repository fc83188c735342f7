"""What can end a proof before it has a verdict."""

from pathlib import Path


class ProofError(Exception):
    """Root of every error of the judge; ``exit_code`` is what the command line returns for it."""

    exit_code = 3


class AcceptanceError(ProofError):
    """``acceptance.toml`` cannot be used: says file, line, what is wrong and what is allowed there."""

    exit_code = 2

    def __init__(self, path: Path | str, line: int | None, problem: str, allowed: str = "") -> None:
        self.path, self.line, self.problem, self.allowed = str(path), line, problem, allowed
        where = f"{path}, line {line}" if line else str(path)
        super().__init__(f"{where}: {problem}" + (f" Allowed here: {allowed}." if allowed else ""))


class CannotCompare(ProofError):
    """What was named cannot be compared in the way that was asked for."""

    exit_code = 2


class RunVoid(ProofError):
    """The run was started but its numbers cannot be trusted or could not be finished."""
