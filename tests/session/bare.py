"""`python -m tests.session.bare`: the tests that skip on a machine with Python and make alone, run as there.

PATH leads to no server of Debian, and CI is not set. The tests must skip, nothing of them
may be left (see leftovers.py), and pytest must end.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
HIDDEN = ("pgbouncer", "redis-server", "chromium", "haproxy", "prometheus", "promtool", "kubectl", "kustomize")
SKIPPING = (
    "redis7 or test_pooler or test_replica or test_live or test_rules or test_report or test_deploy or test_tls"
    " or test_chart or test_manifests or (drills and test_rolling) or (fourteen and 15)"
)
"""The tests that a hidden program would serve, for `-k`."""

BARE = "EASYMO_TESTS_BARE"
"""Set for them: places that are looked at beside PATH are then not looked at."""

ENDS_WITHIN_S = 300


def path_without_servers(folder: Path) -> str:
    """A PATH with links to every program but the hidden ones."""
    for place in os.environ["PATH"].split(os.pathsep):
        for program in sorted(Path(place).glob("*")):
            link = folder / program.name
            if program.name not in HIDDEN and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


def main() -> int:
    """Run them. Returns pytest's exit code, or 1 when none was skipped."""
    with tempfile.TemporaryDirectory() as name:
        environ = {key: value for key, value in os.environ.items() if key != "CI"}
        environ |= {"PATH": path_without_servers(Path(name)), BARE: "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-k", SKIPPING]
        done = subprocess.run(
            command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=ENDS_WITHIN_S, check=False
        )
    sys.stdout.write(done.stdout[-4000:] + done.stderr)
    return done.returncode if " skipped" in done.stdout else 1


if __name__ == "__main__":
    sys.exit(main())
