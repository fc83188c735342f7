"""An apply that is killed at any moment is finished by the next one, or taken back as if it had never been."""

import subprocess
import sys
from pathlib import Path

import pytest

from easymo.embedded import Postgres


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_applies_are_finished_or_taken_back(postgres: Postgres) -> None:
    """The full form: `python -m drills.indexes.campaign --kills 50 --seed N --out evidence/indexes`."""
    done = subprocess.run(
        [sys.executable, "-m", "drills.indexes.campaign", "--kills", "30", "--seed", "4"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "30 kills, all mended" in done.stdout
    assert "'nothing': 30}" not in done.stdout, "no kill fell into an apply"
