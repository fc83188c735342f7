"""`python -m easymo.load JOB`: carries out one `Job`, given as JSON, and prints its `LoadResult` as JSON.

`-` for JOB reads it from standard input: one argument must not be longer than 128 kB. The short way for programs;
people use `easymo load run`. With `--live=DESCRIPTOR` before JOB, what is seen of each second is written there. Exit
code 2: the job cannot be used; 3: it could not be carried out.
"""

import contextlib
import sys

import msgspec

from easymo.load.errors import LoadError
from easymo.load.job import Job, run_job
from easymo.load.live import telling
from easymo.load.realtime import die_with_parent

_USAGE = "usage: python -m easymo.load JOB, with an easymo.load.Job as JSON or - (people use: easymo load run --help)"


def main() -> int:
    try:
        *options, text = sys.argv[1:]
        live = [int(option.removeprefix("--live=")) for option in options]
        job = msgspec.json.decode(sys.stdin.buffer.read() if text == "-" else text, type=Job)
    except (ValueError, msgspec.ValidationError) as error:
        sys.stderr.write(f"{_USAGE}\n{error}\n")
        return 2
    die_with_parent()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a scenario prints must not get into the result
            result = run_job(job, telling(live[0]) if live else None, interruptible=True)
    except LoadError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("Stopped before the first request.\n")
        return 130
    sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
