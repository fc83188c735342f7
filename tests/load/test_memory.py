"""Memory does not grow with the number of requests: an hour at 1,000/s stays within 60 MB."""

import subprocess
import sys
from pathlib import Path


def peak_mb(seconds: int) -> tuple[int, float]:
    command = [sys.executable, "-m", "tests.load.hour", str(seconds)]
    said = subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True).stdout
    count, mb = said.split()
    return int(count), float(mb)


def test_four_times_as_many_requests_take_hardly_more_memory() -> None:
    (few, little), (many, more) = peak_mb(120), peak_mb(480)
    assert many > 3.5 * few
    assert more - little < 4, "2 kB for each second's latencies, nothing for each request"
    assert more < 60
