"""`python -m drills.mutants [--only WORD] [--beside N]`: applies each mutant to a copy and runs its tests there.

Exits with 1 when fewer than 95 % are killed, when one survives without a reason, or when one cannot be applied.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from drills.mutants.catalogue import ROOT, Mutant, read_mutants, stale

MUST_BE_KILLED = 0.95
_ENDS_WITHIN_S = 600
_FAILED, _PASSED = 1, 0


def copy_to(folder: Path) -> None:
    """The tracked files as they stand, not as they are committed."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def run(folder: Path, tests: str) -> int:
    """pytest's exit code; a run that does not end in time counts as failed."""
    environ = os.environ | {"PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests.split()]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environ, capture_output=True, timeout=_ENDS_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        return _FAILED
    return done.returncode


def write(file: Path, source: str) -> None:
    """And forget its bytecode: Python could take the old one for the new one, written in the same second."""
    file.write_text(source, encoding="utf-8")
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()


def outcome(mutant: Mutant, folders: "SimpleQueue[Path]") -> str:
    """`killed`, `survived` or what went wrong."""
    folder = folders.get()
    file = folder / mutant.path
    source = file.read_text(encoding="utf-8")
    try:
        write(file, mutant.apply(source))
        code = run(folder, mutant.tests)
    finally:
        write(file, source)
        folders.put(folder)
    return {_FAILED: "killed", _PASSED: "survived"}.get(code, f"pytest ended with {code}")


def unchanged(tests: str, folders: "SimpleQueue[Path]") -> int:
    """pytest's exit code on the code as it is."""
    folder = folders.get()
    try:
        return run(folder, tests)
    finally:
        folders.put(folder)


def main() -> int:
    """Parse, run, tell."""
    parser = argparse.ArgumentParser(prog="python -m drills.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="mutants of files whose path holds this word")
    parser.add_argument("--beside", type=int, default=2, help="how many run at the same time (2)")
    options = parser.parse_args()
    mutants = [mutant for mutant in read_mutants() if options.only in mutant.file]
    if problems := stale(mutants):
        sys.stderr.write("\n".join(problems) + "\n")
        return 1
    found: dict[Mutant, str] = {}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(options.beside) as threads:
        folders: SimpleQueue[Path] = SimpleQueue()
        if (ROOT.parent / "shared").is_dir():  # some tests compare with what lies beside the repository
            (Path(name) / "shared").symlink_to((ROOT.parent / "shared").resolve())
        for number in range(options.beside):
            folder = Path(name) / str(number)
            copy_to(folder)
            folders.put(folder)
        selections = list(dict.fromkeys(mutant.tests for mutant in mutants))
        codes = threads.map(lambda tests: unchanged(tests, folders), selections)
        red = {tests for tests, code in zip(selections, codes, strict=True) if code != _PASSED}
        for tests in red:
            sys.stderr.write(
                f"{tests}: fails without any change, so it would kill every mutant; its mutants are left out\n"
            )
        mutants = [mutant for mutant in mutants if mutant.tests not in red]
        for mutant, state in zip(mutants, threads.map(lambda one: outcome(one, folders), mutants), strict=True):
            found[mutant] = state
            reason = f" ({mutant.survives})" if mutant.survives else ""
            sys.stdout.write(f"{state}: {mutant.path}: {mutant.old!r} → {mutant.new!r}{reason}\n")
            sys.stdout.flush()
    killed = sum(state == "killed" for state in found.values())
    sys.stdout.write(f"{killed} of {len(found)} killed in {time.monotonic() - started:.0f} s\n")
    unexplained = [mutant for mutant, state in found.items() if state != "killed" and not mutant.survives]
    return 0 if not red and killed >= MUST_BE_KILLED * len(found) and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main())
