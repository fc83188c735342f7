"""`python -m easymo.load.warm SCENARIO`: carries out the jobs that come on standard input, each in a fork of itself.

For programs that play many short runs: what a run costs before its first request, an interpreter's start and the
imports of the scenario, is paid once. A fork shares nothing with the next one. A line with a `Job` as JSON is answered
by a line with an `Answer`; what a scenario prints goes to standard error.
"""

import gc
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import msgspec

from easymo.load.errors import LoadError
from easymo.load.job import Job, run_job
from easymo.load.realtime import die_with_parent
from easymo.load.result import LoadResult
from easymo.load.scenario import load_scenario


class Answer(msgspec.Struct, frozen=True):
    """What came of a job: its result, or the exit code that `python -m easymo.load` would have had and what it said."""

    result: LoadResult | None = None
    exit_code: int = 0
    said: str = ""


def main() -> int:
    die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with suppress(LoadError):  # each job will say it again
        load_scenario(Path(sys.argv[1]))
    gc.collect()
    gc.freeze()
    for line in sys.stdin.buffer:
        answers.write(_in_a_fork(line) + b"\n")
        answers.flush()
    return 0


def _in_a_fork(line: bytes) -> bytes:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _carry_out(line, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    said = f"it ended with exit code {code}" if code else "it ended without a result"
    return answer or msgspec.json.encode(Answer(exit_code=code, said=said))


def _carry_out(line: bytes, writing: int) -> None:
    """Answer the job and end this process, whatever happens: it must never go on as a second server."""
    code = 1
    try:
        die_with_parent()
        answer = _answer(line)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(msgspec.json.encode(answer))
        code = 0
    except BaseException:  # noqa: BLE001 - a fork has nobody to raise to
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _answer(line: bytes) -> Answer:
    try:
        return Answer(run_job(msgspec.json.decode(line, type=Job)))
    except LoadError as error:
        return Answer(exit_code=error.exit_code, said=str(error))


if __name__ == "__main__":
    sys.exit(main())
