"""The mutants: `drills/mutants/<package>.toml`, each a table like

    [[mutant]]
    file = "easymo/hpa/replicas.py"       # below src/
    old = "up: float = 0.1"               # stands there exactly once
    new = "up: float = 0.2"
    tests = "tests/hpa/test_replicas.py"  # what must fail, in the words of pytest; several are separated by spaces
    survives = ""                         # why no test can notice; such a mutant is run all the same

A mutant is a mistake that a tired engineer could make: a boundary, a unit, the order of two steps, a check left out.
"""

import tomllib
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
_FOLDER = Path(__file__).parent


class Mutant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change: `old` becomes `new`, and one of `tests` must fail."""

    file: str
    old: str
    new: str
    tests: str
    survives: str = ""

    @property
    def path(self) -> str:
        """The file as it is seen from the root of the repository."""
        return f"src/{self.file}"

    def apply(self, source: str) -> str:
        """`source` with the change. Raises ValueError when its text is not there exactly once."""
        found = source.count(self.old)
        if found != 1:
            raise ValueError(f"{self.path} holds {self.old!r} {found} times, not once: write the mutant anew")
        return source.replace(self.old, self.new)


def read_mutants() -> list[Mutant]:
    """All of them, by package."""
    found: list[Mutant] = []
    for file in sorted(_FOLDER.glob("*.toml")):
        found += msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8"))["mutant"], list[Mutant])
    return found


def stale(mutants: list[Mutant]) -> list[str]:
    """What is wrong with those that cannot be applied to the code as it is."""
    problems = []
    for mutant in mutants:
        try:
            mutant.apply((ROOT / mutant.path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            problems.append(str(error))
        problems += [
            f"{name} is not there"
            for name in mutant.tests.split()
            if not name.startswith("-") and "/" in name and not (ROOT / name.partition("::")[0]).exists()
        ]
    return problems
