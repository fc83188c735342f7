"""`python -m tests.load.hour SECONDS [RATE]`: what a run keeps in memory, without a network; prints MB at most.

Every request of the schedule is built, as many ahead as the generator does, answered after some milliseconds, and
recorded: all that grows with the number of requests in a real run is here.
"""

import random
import sys
from collections import deque
from itertools import islice
from pathlib import Path

from easymo.load import Call, Request, Scenario, Stage, Target, build_schedule
from easymo.load.connection import Connection
from easymo.load.generator import _BUILT_AHEAD as BUILT_AHEAD
from easymo.load.realtime import undisturbed
from easymo.load.recorder import Recorder


def play(seconds: float, rate_rps: float) -> int:
    """Returns how many requests were played."""
    names = [Request(f"page {n}", 1, lambda rng: Call("GET", f"/{rng.randrange(10**9)}")) for n in range(8)]
    schedule = build_schedule(Scenario(names), {"": Target("127.0.0.1", 80)}, [Stage(rate_rps, seconds)], seed=1)
    recorder, reply = Recorder(schedule), Connection(lambda *_: None, lambda _: None)
    source, times = iter(schedule), random.Random(1)
    ahead = deque(islice(source, BUILT_AHEAD))
    while ahead:
        arrival = ahead.popleft()
        ahead.extend(islice(source, 1))
        arrival.fired_ns = arrival.due_ms * 1_000_000 + 50_000
        reply.body_bytes = times.randrange(100_000)
        recorder.done(arrival, 200, arrival.fired_ns + int(times.lognormvariate(15, 1)), reply, None, 0)
        recorder.sent += 1
    result = recorder.result(cpu_s=0.0, priority="normal", stopped_at_s=None)
    assert len(result.timeline) == seconds
    return result.requests


if __name__ == "__main__":
    with undisturbed():
        count = play(float(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 1000.0)
    lines = Path("/proc/self/status").read_text().splitlines()  # getrusage would count what the parent had, too
    peak_kb = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    print(f"{count} {peak_kb / 1024:.1f}")
