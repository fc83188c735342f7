"""Two hundred files in the styles of the tools that run migrations, each line with the findings that are true of it.

A file of corpus/ is a project: `@ path` begins a file of it, `--! rule rule` ends a line that these rules must report.
What is stated was decided by what Postgres and the tool do, not by what the linter says. Precision and recall are
printed for every rule (`pytest -s`).
"""

import re
from collections import Counter
from pathlib import Path

import pytest

from easymo.indexes.lint import RULES, lint
from easymo.indexes.lint.files import migration_files

CORPUS = Path(__file__).parent / "corpus"
STATED = re.compile(r" --! ([a-z -]+)$")
Findings = Counter[tuple[str, int, str]]
NEEDS_QUERIES = {"parameter-cannot-imply-predicate"}


def unpack(project: Path, folder: Path) -> tuple[int, Findings]:
    """Write the files of a project; gives how many are SQL, and what is stated of which line."""
    stated: Findings = Counter()
    files = 0
    for part in re.split(r"^@ ", project.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        name, _, text = part.partition("\n")
        lines = text.splitlines()
        for number, line in enumerate(lines, start=1):
            if found := STATED.search(line):
                stated.update((name, number, rule) for rule in found[1].split())
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(STATED.sub("", line) for line in lines) + "\n", encoding="utf-8")
        files += name.endswith(".sql")
    return files, stated


def report(stated: Findings, found: Findings) -> dict[str, tuple[float, float]]:
    """Precision and recall of each rule that was stated or found, printed."""
    scores = {}
    for rule in sorted({rule for *_, rule in stated | found}):
        wanted = Counter({key: count for key, count in stated.items() if key[2] == rule})
        said = Counter({key: count for key, count in found.items() if key[2] == rule})
        right = (wanted & said).total()
        scores[rule] = (right / said.total() if said else 1.0, right / wanted.total() if wanted else 1.0)
        print(f"{rule:<34}{wanted.total():>4} stated  precision {scores[rule][0]:.1%}  recall {scores[rule][1]:.1%}")
    right = (stated & found).total()
    scores["all"] = (right / found.total(), right / stated.total())
    print(f"{'all':<34}{stated.total():>4} stated  precision {scores['all'][0]:.1%}  recall {scores['all'][1]:.1%}")
    return scores


def test_findings_on_two_hundred_files_of_fifteen_tools_are_those_that_are_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, stated, found = 0, Findings(), Findings()
    for project in sorted(CORPUS.glob("*.txt")):
        folder = tmp_path / project.stem
        count, expected = unpack(project, folder)
        files += count
        stated += Counter({(f"{project.stem}/{name}", line, rule): n for (name, line, rule), n in expected.items()})
        monkeypatch.chdir(folder)
        findings = lint(migration_files([Path()]))
        found.update((f"{project.stem}/{f.file}", f.line, f.rule) for f in findings)
    wrong = [*(f"+ {key}" for key in (found - stated).elements()), *(f"- {key}" for key in (stated - found).elements())]
    print(f"{files} files", *sorted(wrong), sep="\n")
    scores = report(stated, found)
    assert files >= 200
    assert {rule for *_, rule in stated} == {rule.slug for rule in RULES} - NEEDS_QUERIES
    assert {rule: score for rule, score in scores.items() if score[0] < 0.97 or score[1] < 0.95} == {}
