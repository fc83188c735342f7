"""What survives the tests is named, and a run ends though SIGINT was ignored when it began."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLAIN = [word for name in ("cacheprovider", "schemathesis", "faker", "anyio") for word in ("-p", f"no:{name}")]
HEAD = """
import asyncio, subprocess, sys, threading
import pytest
pytest_plugins = ["tests.session.leftovers"]
"""
THREAD = """
@pytest.fixture
def server():
    event = threading.Event()
    threading.Thread(target=event.wait, args=(20,), name="server of a test").start()
    yield
    event.set()

def test_it(server):
    {body}
"""
PROCESS = """
def test_it():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)  # left behind"], start_new_session=True)
"""
TASK = """
kept = []
def test_it():
    loop = asyncio.new_event_loop()
    kept.append(loop)
    kept.append(loop.create_task(asyncio.sleep(60), name="task of a test"))
"""


def run(folder: Path, source: str) -> "subprocess.CompletedProcess[str]":
    (folder / "conftest.py").write_text(HEAD)
    (folder / "test_one.py").write_text("import asyncio, subprocess, sys, threading\nimport pytest\n" + source)
    command = [sys.executable, "-m", "pytest", "-q", *PLAIN, "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (THREAD.format(body="pass").replace("event.set()", "pass"), "thread server of a test"),
        (PROCESS, "# left behind"),
        (TASK, "task task of a test"),
    ],
)
def test_what_survives_is_named(tmp_path: Path, source: str, named: str) -> None:
    done = run(tmp_path, source)
    assert done.returncode == 1
    assert named in done.stdout


@pytest.mark.parametrize("body", ["pytest.skip('no server here')", "pass"])
def test_a_fixture_that_cleans_up_passes_whether_its_test_is_skipped_or_not(tmp_path: Path, body: str) -> None:
    source = THREAD.format(body=body).replace(
        "    yield\n    event.set()", "    try:\n        yield\n    finally:\n        event.set()"
    )
    done = run(tmp_path, source)
    assert done.returncode == 0, done.stdout


def test_sigint_that_a_background_script_ignores_is_itself_again(tmp_path: Path) -> None:
    """`make test &`: children would inherit that it is ignored, and never end on it."""
    (tmp_path / "conftest.py").write_text(HEAD)
    source = "import signal\ndef test_it():\n    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    (tmp_path / "test_one.py").write_text(source)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(
        ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("module", "command"), [("easymo_platform", "status"), ("easymo", "cache")])
def test_a_command_that_is_started_in_the_background_still_ends_on_sigint(module: str, command: str) -> None:
    """`status --watch` and `easymo load --live` end on Ctrl-C, and say so."""
    code = (
        "import runpy, signal, sys\n"
        "assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN\n"
        f"sys.argv = ['{module}', {command!r}, '--help']\n"
        "try:\n"
        f"    runpy.run_module('{module}', run_name='__main__')\n"
        "except SystemExit:\n"
        "    print('handled' if signal.getsignal(signal.SIGINT) is signal.default_int_handler else 'ignored')\n"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.stdout.endswith("handled\n"), done.stderr
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
