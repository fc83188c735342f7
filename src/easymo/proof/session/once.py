"""`python -m easymo.proof.session.once SCENARIO URLS SEED`: every request of a scenario once, one after the other.

Prints one line of JSON per request or visitor: its name and its `LoadResult`. A process of its own, as a scenario is
the user's code. Ends as `python -m easymo.load` does when the scenario cannot be used.
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from easymo.load.errors import LoadError
from easymo.load.job import run
from easymo.load.result import LoadResult
from easymo.load.scenario import Scenario, load_scenario
from easymo.load.schedule import Stage, build_schedule
from easymo.load.target import parse_target
from easymo.proof.system.processes import die_with_parent

TIMEOUT_S = 30.0
#: Constant arrivals: exactly one request or visitor, and time for the steps of a visitor.
ONE_ARRIVAL = [Stage(10, 0.1), Stage(0, 300)]


class Once(msgspec.Struct, frozen=True):
    """What came of one request of the scenario."""

    request: str
    result: LoadResult


def main(scenario_file: str, urls: str, seed: str) -> int:
    die_with_parent()
    targets = {name: parse_target(url) for name, url in msgspec.json.decode(urls, type=dict[str, str]).items()}
    try:
        scenario = load_scenario(Path(scenario_file))
        for number, entry in enumerate(scenario.entries):
            schedule = build_schedule(
                Scenario([entry], scenario.setup),
                targets,
                ONE_ARRIVAL,
                seed=int(seed) + number,
                salt=f"check/{number}",
                arrivals="constant",
            )
            result = asyncio.run(run(schedule, timeout_s=TIMEOUT_S))
            sys.stdout.buffer.write(msgspec.json.encode(Once(entry.name, result)) + b"\n")
            sys.stdout.buffer.flush()
    except LoadError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
