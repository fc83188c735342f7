"""Asks every side the same, before any round: equal copies of the data, one request at a time.

The process that sends is one of its own (:mod:`easymo.load.ask`), because scenarios read their environment. It
sends the very bytes that the load generator sends, so a service that knows the generator knows this, too.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from easymo.load.ask import Asked, Questions
from easymo.proof.errors import AcceptanceError, RunVoid
from easymo.proof.session.rounds import Load
from easymo.proof.system.acceptance import Acceptance, Treatment
from easymo.proof.system.arms import BASELINE, TREATED, Arm
from easymo.proof.system.processes import base_environment
from easymo.proof.system.template import clone
from easymo.proof.system.testbed import Testbed
from easymo.proof.verdict.answers import Answer, AnswersCompared, answer, compare_answers, normalised

#: The scratch arm on which every side is asked, on a fresh copy each time.
SCRATCH = "answers"
#: Requests asked of a side, and seconds after which no more are asked.
REQUESTS, SECONDS = 120, 3.5


async def ask_arms(
    testbed: Testbed, acceptance: Acceptance, root: Path, folder: Path, load: Load, treated: Mapping[str, Treatment]
) -> AnswersCompared:
    """Ask the system as it was twice and the treated one once, each on its own copy. Nothing runs afterwards."""
    began = time.monotonic()
    series = []
    for number, treatments in enumerate(({}, {}, treated)):
        await testbed.control.execute(f'drop database if exists "{testbed.database_of(SCRATCH)}" with (force)')
        testbed.folders[SCRATCH] = testbed.folders[TREATED if treatments else BASELINE]
        await clone(testbed, SCRATCH)
        testbed.caches.empty(SCRATCH)
        arm = Arm(SCRATCH, treatments, acceptance, testbed)
        arm.prepare(acceptance, root, folder / "logs" / f"{SCRATCH}-{number + 1}")
        for treatment in treatments.values():
            await arm.apply(treatment)
        async with arm.system:
            series.append(await ask(load, arm.urls(), acceptance.answers.leave_out))
            arm.check()
    return _compared(series, began)


async def ask_deployments(
    before: Mapping[str, str], after: Mapping[str, str], load: Load, leave_out: Sequence[str]
) -> AnswersCompared:
    """Ask two deployments; only what is safe is sent, for both have data of their own."""
    began = time.monotonic()
    return _compared([await ask(load, urls, leave_out, safe=True) for urls in (before, before, after)], began)


def _compared(series: Sequence[tuple[list[Answer], list[str]]], began: float) -> AnswersCompared:
    (first, names), (again, _), (other, _) = series
    return replace(compare_answers(first, again, other, time.monotonic() - began), names=names)


async def ask(
    load: Load, urls: Mapping[str, str], leave_out: Sequence[str], *, safe: bool = False
) -> tuple[list[Answer], list[str]]:
    """What a side answers, and the names of the scenario's requests.

    Raises :class:`AcceptanceError` for a scenario that cannot be used.
    """
    questions = Questions(
        scenario=load.scenario, urls=dict(urls), seed=load.seed, requests=REQUESTS, seconds=SECONDS, safe=safe
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "easymo.load.ask"),
        cwd=load.folder,
        env={**base_environment(), **load.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, said = await process.communicate(msgspec.json.encode(questions))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.wait()
    if process.returncode:
        raise RunVoid(f"The answers could not be compared: {said.decode(errors='replace').strip()[-2000:]}")
    asked = msgspec.json.decode(output, type=Asked)
    if asked.refused:
        raise AcceptanceError(questions.scenario, None, asked.refused)
    answers = [
        answer(r.request, r.asked, r.status, r.content_type, normalised(r.body, r.content_type, leave_out))
        for r in asked.replies
    ]
    return answers, asked.names
