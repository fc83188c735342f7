"""Jobs: one run as data, carried out in this process or in processes of its own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import uvloop

from easymo.load.duet import duet
from easymo.load.errors import LoadError, ScenarioError, TargetError
from easymo.load.generator import MAX_CONNECTIONS, TIMEOUT_S, Generator
from easymo.load.live import Glance, Sight, Watch, glancing
from easymo.load.realtime import undisturbed
from easymo.load.request import Call, Request
from easymo.load.result import LoadResult, merge
from easymo.load.scenario import Scenario, load_scenario
from easymo.load.schedule import Arrivals, Schedule, Stage, build_schedule
from easymo.load.target import parse_target


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to run, in the terms of `build_schedule` and `Generator`. `urls` are by target name, "" the default one.

    `scenario` is the path of a Python file, or the only request that there is. `share` is `(index, of)`: this process
    sends every `of`-th request of the schedule. `host`, `insecure` and `certificate` are for all targets: see `Target`.
    `beside` are the URLs of a second system that takes the requests in turn with the first one (`easymo.load.duet`).
    """

    scenario: str | Call
    urls: Mapping[str, str]
    stages: Sequence[Stage]
    seed: int
    salt: str = ""
    arrivals: Arrivals = "poisson"
    warm_up_s: float = 0.0
    timeout_s: float = TIMEOUT_S
    max_connections: int = MAX_CONNECTIONS
    share: tuple[int, int] = (0, 1)
    beside: Mapping[str, str] = {}
    host: str = ""
    insecure: bool = False
    certificate: str = ""
    follow: bool = False


def schedule_of(job: Job) -> Schedule:
    """The job's schedule, its share taken. Raises `ScenarioError`."""
    scenario = _scenario_of(job)
    schedules = [
        build_schedule(
            scenario,
            {
                name: replace(parse_target(url), served_as=job.host, insecure=job.insecure, certificate=job.certificate)
                for name, url in urls.items()
            },
            job.stages,
            seed=job.seed,
            salt=job.salt,
            arrivals=job.arrivals,
            warm_up_s=job.warm_up_s,
        )
        for urls in (job.urls, job.beside)
        if urls
    ]
    schedule = duet(*schedules) if len(schedules) == 2 else schedules[0]
    return schedule.share(*job.share)


def _scenario_of(job: Job) -> Scenario:
    if isinstance(job.scenario, str):
        return load_scenario(Path(job.scenario))
    call = job.scenario
    return Scenario([Request(f"{call.method} {call.path}", 1, lambda _: call, follow=job.follow)])


async def run(
    schedule: Schedule,
    *,
    timeout_s: float = TIMEOUT_S,
    max_connections: int = MAX_CONNECTIONS,
    on_second: Callable[[Glance], None] | None = None,
) -> LoadResult:
    """Runs a schedule on the running event loop, as `Generator` says. Raises `TargetError` when a target is not there.

    `on_second` gets a glance at each second of the run as it ends.
    """
    see = None if on_second is None else glancing(on_second)
    generator = Generator(schedule, timeout_s=timeout_s, max_connections=max_connections, on_second=see)
    await generator.run()
    return generator.result()


def run_job(job: Job, on_second: Callable[[Sight], None] | None = None, *, interruptible: bool = False) -> LoadResult:
    """Carries out the job in this process, at real-time priority where that is allowed. Blocks.

    `on_second` gets what this process saw of each second as it ends. `interruptible`: SIGINT ends the run, and the
    result is that of the part that was played. Raises `ScenarioError` and `TargetError`.
    """
    schedule = schedule_of(job)
    with undisturbed() as priority, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        generator = Generator(
            schedule, timeout_s=job.timeout_s, max_connections=job.max_connections, on_second=on_second
        )
        if interruptible:
            runner.get_loop().add_signal_handler(signal.SIGINT, generator.stop)
        runner.run(generator.run())
        if interruptible:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not take the result away
    return generator.result(priority)


def run_process(
    job: Job,
    processes: int = 1,
    environment: Mapping[str, str] | None = None,
    on_second: Callable[[Glance], None] | None = None,
    *,
    interruptible: bool = False,
) -> LoadResult:
    """Carries out the job in new processes that share its schedule, and adds up their results. Blocks.

    So neither this process's garbage nor its other threads can make the generator late. The processes start within
    some milliseconds of each other, and die with the caller. `environment` is added to this process's own. `on_second`
    gets, in another thread, a glance at each second that all processes have told of. `interruptible` as for `run_job`:
    otherwise `KeyboardInterrupt` ends the processes and passes on. Raises what `run_job` raises, and
    `LoadError` when a process came to another end.
    """
    watch = None if on_second is None else Watch(processes, on_second)
    with ExitStack() as stack:
        workers = []
        for index in range(processes):
            worker = _start(os.environ | dict(environment or {}), watch)
            stack.enter_context(worker)
            stack.callback(worker.kill)  # comes before the wait of the line above
            _hand_over(msgspec.structs.replace(job, share=(index, processes)), worker)
            workers.append(worker)
        try:
            return merge([_result_of(worker) for worker in workers])
        except KeyboardInterrupt:
            if not interruptible:
                raise
            for worker in workers:
                worker.send_signal(signal.SIGINT)  # in a terminal they have it already, and take it once
            return merge([_result_of(worker) for worker in workers])


def _start(environment: Mapping[str, str], watch: Watch | None) -> subprocess.Popen[bytes]:
    live = () if watch is None else (watch.open(),)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "easymo.load", *(f"--live={descriptor}" for descriptor in live), "-"],
            env=environment,
            pass_fds=live,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    finally:
        for descriptor in live:
            os.close(descriptor)


def _hand_over(job: Job, worker: subprocess.Popen[bytes]) -> None:
    assert worker.stdin is not None
    with suppress(BrokenPipeError), worker.stdin:  # one that dies before it has read tells why on its standard error
        worker.stdin.write(msgspec.json.encode(job))


def _result_of(worker: subprocess.Popen[bytes]) -> LoadResult:
    worker.stdin = None
    output, said = worker.communicate()
    complaint = said.decode(errors="replace")
    if worker.returncode == 0:
        return msgspec.json.decode(output, type=LoadResult)
    for error in (ScenarioError, TargetError):
        if worker.returncode == error.exit_code:
            raise error(complaint.strip())
    raise LoadError(f"A load process ended with {worker.returncode} before its result: {complaint.strip()[-2000:]}")
