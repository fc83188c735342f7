"""Keeps one server: makes its directory, starts it, and stops and removes everything once the parent asks or ends.

Run as a file, `python -I -S keeper.py PARENT_PID`: with nothing but the standard library it starts in 30 ms, and no
setting of the user's Python can break it. The first line of standard input is `instance.Plan` as JSON; another byte, or
the end, asks it to stop. Each event is a line of JSON on standard output.

# Why a process of its own

Three processes can die in any order, each by SIGKILL, and each case must leave nothing:

- *The parent.* It cannot clean up any more, so somebody else must hold the directory's name: the keeper. It sees the
  end of its standard input, or, where a forked child of the parent holds that open, a new parent id of its own.
- *The server.* The keeper waits for it, reports the end and keeps the directory, whose log the parent may still read.
  Postgres leaves children: most see their postmaster's end and leave, but one that hangs (or is stopped) stays. As a
  *subreaper* the keeper becomes the parent of these orphans; it kills children until it has none, and only then
  removes the directory. Postgres also leaves a System V segment, which carries its number in postmaster.pid.
- *The keeper.* PR_SET_PDEATHSIG makes the kernel stop the server with it. Without a keeper that alone would not do: the
  directory would stay, and the signal comes when the *thread* that started the server ends. The parent, which sees the
  end of the keeper's output, removes the directory.

Without Linux there is neither a subreaper nor PR_SET_PDEATHSIG: a killed parent or server leaves nothing there either,
as a postmaster's children leave with it, but a keeper that is killed leaves its server.
"""

import contextlib
import ctypes
import json
import os
import pwd
import re
import select
import shutil
import signal
import subprocess
import sys
from typing import IO, Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
IPC_RMID = 0  # linux/ipc.h
SOCKET_PATH_BYTES = 107  # sun_path of unix(7) without the final NUL
LONGEST_SOCKET_NAME = "/.s.PGSQL.65535"
SHORT_PLACES = ["/tmp", "/var/tmp"]
GRACE_S = 10.0  # Postgres kills what has not obeyed an immediate shutdown after 5 s
CANNOT_BECOME = 2
PARENT_CHECK_S = 0.5

libc = ctypes.CDLL(None, use_errno=True)


class Keeper:
    """The life of one server, from its directory to the removal of it."""

    def __init__(self, parent_pid: int, plan: dict[str, Any]) -> None:
        self.parent_pid = parent_pid
        self.plan = plan
        self.account: pwd.struct_passwd | None = None
        self.directories: list[str] = []
        self.child: subprocess.Popen[bytes] | None = None
        self.stop_signal = signal.SIGTERM
        self.wakeup, wakeup_writer = os.pipe()
        os.set_blocking(wakeup_writer, False)
        signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphans of a killed server become our children

    def run(self) -> None:
        """Go through the whole life; every way out ends in the clean-up."""
        try:
            self.keep()
        except (OSError, KeyError) as error:  # KeyError: no user nobody
            self.report(ended=str(error))
            self.wait()
        finally:
            self.stop_child()
            self.kill_children()
            self.release_shared_memory()
            for directory in self.directories:
                shutil.rmtree(directory, ignore_errors=True)

    def keep(self) -> None:
        """From the directory to a running server, and on until the parent or the server ends."""
        if os.geteuid() == 0:  # Postgres refuses to run as root
            self.account = pwd.getpwnam("nobody")
        directory, sockets = self.make_directories()
        names = {"{root}": self.usable_root(directory), "{directory}": directory, "{sockets}": sockets}
        self.report(directory=directory, sockets=sockets)
        for path, text in self.plan["files"].items():
            self.write(f"{directory}/{path}", replaced(text, names))
        with open(f"{directory}/log", "ab") as log:
            for command in self.plan["prepare"]:
                # On SIGTERM initdb waits for its own child; killed, it would leave that child's shared memory behind.
                child = self.start(command, names, log, signal.SIGTERM)
                if not self.wait(child):
                    return
                if child.returncode != 0:
                    self.report(ended=f"{os.path.basename(command[0])} {outcome(child.returncode)}")
                    self.wait()
                    return
            server = self.start(self.plan["command"], names, log, signal.Signals(self.plan["stop_signal"]))
        self.report(pid=server.pid)
        if self.wait(server):
            self.report(ended=f"it {outcome(server.returncode)}")
            self.wait()

    def make_directories(self) -> tuple[str, str]:
        """The instance's directory, and the one for its sockets: the same, unless a socket's path must not be so."""
        directory = self.make_directory([self.plan["temporary"], *SHORT_PLACES])
        path = os.fsencode(directory + LONGEST_SOCKET_NAME)
        if len(path) <= SOCKET_PATH_BYTES and re.fullmatch(rb"[\w/.+-]+", path):
            return directory, directory
        return directory, self.make_directory(SHORT_PLACES)

    def make_directory(self, places: list[str]) -> str:
        """A new directory in the first of the places that the server's user can enter."""
        place = next((place for place in places if self.may_use(place)), places[0])
        directory = f"{place}/easymo-{self.parent_pid}-{os.urandom(4).hex()}"
        os.mkdir(directory, 0o700)
        self.directories.append(directory)
        if self.account:
            os.chown(directory, self.account.pw_uid, self.account.pw_gid)
        return directory

    def write(self, path: str, text: str) -> None:
        """Write a file that only the server's user can read."""
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            if self.account:
                os.fchown(file.fileno(), self.account.pw_uid, self.account.pw_gid)
            file.write(text)

    def usable_root(self, directory: str) -> str:
        """Where the binaries can be run from: where they are installed, or a copy that the server's user can reach."""
        root, parts = self.plan["root"], self.plan["parts"]
        if all(self.may_use(f"{root}/{part}") for part in parts):
            return str(root)
        copy = f"{directory}/install"
        without_headers = shutil.ignore_patterns("include")
        for part in parts:
            try:
                shutil.copytree(f"{root}/{part}", f"{copy}/{part}", symlinks=True, ignore=without_headers)
            except shutil.Error as error:  # one entry for each file that failed; the first says why
                raise OSError(f"its programs could not be copied: {error.args[0][0][2]}") from error
        if self.account:
            for folder, _, files in os.walk(copy):
                for path in (folder, *(f"{folder}/{name}" for name in files)):
                    os.chown(path, self.account.pw_uid, self.account.pw_gid, follow_symlinks=False)
        return copy

    def may_use(self, path: str) -> bool:
        """Whether the server's user can enter a directory and read in it; found out by trying as that user."""
        child = os.fork()
        if child == 0:
            answer = CANNOT_BECOME
            try:
                self.become_account()
                answer = 0 if os.access(path, os.R_OK | os.X_OK) else 1
            finally:
                os._exit(answer)
        answer = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if answer == CANNOT_BECOME:
            raise PermissionError("Operation not permitted: to become user nobody, as which a server of root runs")
        return answer == 0

    def become_account(self) -> None:
        if self.account:
            os.setgroups([])
            os.setgid(self.account.pw_gid)
            os.setuid(self.account.pw_uid)

    def start(
        self, command: list[str], names: dict[str, str], log: IO[bytes], stop_signal: signal.Signals
    ) -> subprocess.Popen[bytes]:
        """Start a command as the server's user; it gets the signal to stop when the keeper ends, or dies."""
        keeper_pid = os.getpid()

        def before_exec() -> None:
            self.become_account()
            prctl(PR_SET_PDEATHSIG, stop_signal)  # setuid would have cleared it
            if os.getppid() != keeper_pid:
                os._exit(1)

        self.stop_signal = stop_signal
        self.child = subprocess.Popen(
            [replaced(argument, names) for argument in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",  # the parent's may be closed to the server's user
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            preexec_fn=before_exec,  # noqa: PLW1509 - safe, the keeper has one thread
        )
        return self.child

    def report(self, **event: object) -> None:
        """Tell the parent, if it is still there."""
        with contextlib.suppress(BrokenPipeError):
            os.write(1, json.dumps(event).encode() + b"\n")

    def wait(self, child: subprocess.Popen[bytes] | None = None) -> bool:
        """True once `child` has ended, False once the parent or a signal asks to stop."""
        while os.getppid() == self.parent_pid:  # a forked child of the parent may hold our standard input open
            if child and child.poll() is not None:
                return True
            ready, _, _ = select.select([0, self.wakeup], [], [], PARENT_CHECK_S)
            if 0 in ready or (self.wakeup in ready and set(os.read(self.wakeup, 64)) - {signal.SIGCHLD}):
                return False
        return False

    def stop_child(self) -> None:
        if self.child and self.child.poll() is None:
            self.child.send_signal(self.stop_signal)
            try:
                self.child.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self.child.kill()

    def kill_children(self) -> None:
        """End what is left, down to the last: the orphans of a killed child become our children in turn."""
        try:
            while True:
                for pid in children() if os.path.exists("/proc/self") else ():
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(-1, 0)
        except ChildProcessError:
            return

    def release_shared_memory(self) -> None:
        """Remove the System V segment of a Postgres that was killed: the one trace that is not in its directory."""
        for directory in self.directories:
            try:
                with open(f"{directory}/data/postmaster.pid") as file:
                    segment = int(file.read().splitlines()[6].split()[1])
            except (OSError, IndexError, ValueError):
                continue  # no Postgres, or it has removed both itself
            libc.shmctl(segment, IPC_RMID, None)


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process, where the kernel has it (Linux)."""
    if sys.platform == "linux":
        libc.prctl(option, value, 0, 0, 0)


def read_plan() -> dict[str, Any]:
    """The first line of standard input, unbuffered: the next byte is for `wait`."""
    line = b""
    while not line.endswith(b"\n") and (chunk := os.read(0, 1)):
        line += chunk
    return dict(json.loads(line)) if line else sys.exit(1)  # the parent was killed before it wrote


def replaced(argument: str, names: dict[str, str]) -> str:
    """The text with its placeholders filled in. Not str.format: settings may hold braces of their own."""
    for name, value in names.items():
        argument = argument.replace(name, value)
    return argument


def children() -> list[int]:
    """Process ids of our children, zombies too."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue  # it ended meanwhile
        if parent == os.getpid():
            found.append(int(name))
    return found


def outcome(returncode: int) -> str:
    """How a process ended, in words."""
    return f"was killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"exited with code {returncode}"


if __name__ == "__main__":
    Keeper(int(sys.argv[1]), read_plan()).run()
