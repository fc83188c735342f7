"""`easymo prove --check`: start everything, send each request once in each arm, take everything back; judge nothing."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

import asyncpg
import msgspec
from msgspec import Struct

from easymo.load.errors import ScenarioError
from easymo.load.result import LoadResult
from easymo.proof.errors import AcceptanceError, RunVoid
from easymo.proof.session.folder import run_until_stopped
from easymo.proof.session.once import Once
from easymo.proof.session.rounds import scenario_environment, with_default
from easymo.proof.system.acceptance import Acceptance
from easymo.proof.system.arms import TREATED, Arm, arms_of
from easymo.proof.system.processes import base_environment, die_with_parent, last_lines
from easymo.proof.system.template import clone, fill_template, row_counts
from easymo.proof.system.testbed import Testbed, open_testbed
from easymo.proof.system.treatments import schema_of


class Answer(Struct, frozen=True):
    """One request, sent once to one arm: its statuses, the bytes of the answers, and until when they were there."""

    arm: str
    request: str
    statuses: list[int]
    body_bytes: int
    ms: float | None
    problem: str


class Checked(Struct, frozen=True):
    """What a check saw. `statements` counts what reached each arm's database; None where it cannot be counted."""

    system: str
    rows: dict[str, int]
    answers: list[Answer]
    statements: dict[str, int | None]
    restored: bool
    notes: list[str]

    @property
    def problems(self) -> list[str]:
        """What a run would stumble over, one sentence each."""
        found = [f"{a.request} ({a.arm}): {a.problem}." for a in self.answers if a.problem]
        if not self.restored:
            found.append("Taking the treatments back did not restore the schema, so a run would be void.")
        return found


def check(acceptance: Acceptance, root: Path, *, scale: str) -> Checked:
    """Do it; raises :class:`ProofError` for what does not start. Nothing is left running."""
    with tempfile.TemporaryDirectory(prefix="easymo-check-") as folder:
        return run_until_stopped(_check(acceptance, root, scale, Path(folder)))


async def _check(acceptance: Acceptance, root: Path, scale: str, folder: Path) -> Checked:
    answers: list[Answer] = []
    statements: dict[str, int | None] = {}
    restored = True
    given = arms_of(acceptance, full=False)
    if not acceptance.treatments:
        del given[TREATED]  # a first file: does the system start?
    async with open_testbed(list(given), root) as testbed:
        _say("servers and data")
        await fill_template(testbed, acceptance, root, scale, folder / "prepare.log")
        rows = await row_counts(testbed, "template")
        for name, treatments in given.items():
            _say(f"arm {name!r}: {', '.join(treatments) or 'no treatment'}")
            await clone(testbed, name)
            arm = Arm(name, treatments, acceptance, testbed)
            arm.prepare(acceptance, root, folder)
            before = await schema_of(arm.database_url)
            for treatment in treatments.values():
                await arm.apply(treatment)
            async with arm.system:
                counted = await _statements(testbed, arm)
                answers += await _send(acceptance, root, scale, arm, folder)
                after = await _statements(testbed, arm)
                statements[name] = None if counted is None or after is None else after - counted
                arm.system.check()
            await arm.halt()
            for treatment in reversed(list(treatments.values())):
                await arm.take_back(treatment)
            restored = restored and await schema_of(arm.database_url) == before
        return Checked(acceptance.system.name, rows, answers, statements, restored, testbed.notes)


async def _send(acceptance: Acceptance, root: Path, scale: str, arm: Arm, folder: Path) -> list[Answer]:
    urls = msgspec.json.encode(with_default(arm.system.targets())).decode()
    log = folder / "scenario.log"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "easymo.proof.session.once"),
            *(acceptance.load.scenario, urls, str(acceptance.system.seed)),
            cwd=root,
            env={**base_environment(), **scenario_environment(acceptance, scale)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        output, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode == ScenarioError.exit_code:
        raise AcceptanceError(acceptance.load.scenario, None, log.read_text(errors="replace").strip())
    if process.returncode:
        arm.system.check()
        raise RunVoid(f"The scenario could not be played. Its last lines:\n{last_lines(log)}")
    played = [msgspec.json.decode(line, type=Once).result for line in output.splitlines()]
    return [_answer(arm.name, name, result) for result in played for name in result.per_request]


def _answer(arm: str, name: str, result: LoadResult) -> Answer:
    tally, answers = result.per_request[name], result.answers.get(name)
    problem = " or ".join(result.errors) if tally.errors else ""
    if answers is not None and answers.wrong:
        problem += f" ({next(iter(answers.wrong))})"
    return Answer(
        arm,
        name,
        list(answers.statuses) if answers else [],
        answers.body_bytes if answers else 0,
        None if tally.latency_ms is None else tally.latency_ms.max,
        problem,
    )


async def _statements(testbed: Testbed, arm: Arm) -> int | None:
    """Statements that were counted in the arm's database so far."""
    if not testbed.counts_statements:
        return None
    try:
        count = await testbed.control.fetchval(
            "select coalesce(sum(calls), 0)::bigint from pg_stat_statements"
            " where dbid = (select oid from pg_database where datname = $1)",
            arm.database,
        )
    except asyncpg.PostgresError:
        return None
    return int(count)


def _say(step: str) -> None:
    sys.stderr.write(f"{step} …\n")
    sys.stderr.flush()
