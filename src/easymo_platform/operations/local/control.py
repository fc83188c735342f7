"""`python -m easymo_platform restart`: asks the `up` that runs on this machine to replace its services one by one.

`up` listens on a Unix socket that only its user can reach. A request is one line of JSON; the answer is a line per
service and a last one that says how it ended.
"""

import argparse
import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from easymo_platform.operations.credentials import ENVIRONMENT_FILE, read_environment_file
from easymo_platform.operations.errors import OperationError
from easymo_platform.operations.local.rolling import LocalServices
from easymo_platform.operations.serve import SERVICES

CONTROL = "EASYMO_UP_SOCKET"
"""The variable that names the socket; it stands in the environment file of `up`."""

_ANSWER_WITHIN_S = 180


class RestartRequest(msgspec.Struct, frozen=True):
    """Which services to replace, and what to set in their environment first."""

    services: list[str]
    variables: dict[str, str] = {}


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the answer. The last one has ``done`` or ``error``."""

    service: str = ""
    seconds: float = 0.0
    done: bool = False
    error: str = ""


@asynccontextmanager
async def control_socket(services: LocalServices) -> AsyncIterator[Path]:
    """Take requests during the block; the path of the socket, in a folder that only this user can enter."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def answer(line: Answer) -> None:
            writer.write(msgspec.json.encode(line) + b"\n")

        try:
            request = msgspec.json.decode(await reader.readline(), type=RestartRequest)
            await services.restart(
                request.services, request.variables, lambda name, seconds: answer(Answer(name, seconds))
            )
            answer(Answer(done=True))
        except (OperationError, msgspec.DecodeError) as error:
            answer(Answer(error=str(error)))
        finally:
            writer.close()

    with tempfile.TemporaryDirectory(prefix="easymo-up-") as folder:
        path = Path(folder) / "control"
        server = await asyncio.start_unix_server(serve, path)
        try:
            yield path
        finally:
            server.close()


def platform_here(environ: Mapping[str, str]) -> dict[str, str] | None:
    """The addresses and keys of the `up` that runs on this machine, from the environment or its file; None without."""
    known = dict(environ) if environ.get(CONTROL) else read_environment_file(ENVIRONMENT_FILE)
    return known if Path(known.get(CONTROL, "")).is_socket() else None


def restart(
    control: str, services: Sequence[str], variables: Mapping[str, str], report: Callable[[str, float], None]
) -> None:
    """Ask for a restart and wait for its end. Raises OperationError when it could not be done, or not completely."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_ANSWER_WITHIN_S)
            client.connect(control)
            client.sendall(msgspec.json.encode(RestartRequest(list(services), dict(variables))) + b"\n")
            with client.makefile("rb") as lines:
                for line in lines:
                    answer = msgspec.json.decode(line, type=Answer)
                    if answer.done:
                        return
                    if answer.error:
                        raise OperationError(f"The restart was not completed: {answer.error}")
                    report(answer.service, answer.seconds)
    except OSError as error:
        raise OperationError(f"`up` does not answer at {control}: {error}. Is it still running?") from error
    raise OperationError("`up` ended during the restart.")


def main(arguments: list[str]) -> int:
    """Parse and restart. Returns 0, or 1 when no platform runs here or a new process did not become ready."""
    parser = argparse.ArgumentParser(
        prog="python -m easymo_platform restart",
        description="Replace the services of the `up` that runs on this machine, one by one: the new process is ready "
        "before the old one leaves, so that no request is lost.",
        epilog="Example: python -m easymo_platform restart voice-bridge --set LOG_LEVEL=debug",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all ({', '.join(SERVICES)})")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_variable,
        metavar="NAME=VALUE",
        help="set in the environment of the new processes, and of all later ones",
    )
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(SERVICES)
    if unknown:
        parser.error(f"there is no service {sorted(unknown)[0]!r}; there are {', '.join(SERVICES)}")
    here = platform_here(os.environ)
    if here is None:
        sys.stderr.write("No platform runs here: start it with `python -m easymo_platform up`.\n")
        return 1
    started = time.monotonic()
    try:
        restart(here[CONTROL], options.names or list(SERVICES), dict(options.set), _say)
    except OperationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"Done in {time.monotonic() - started:.1f} s.\n")
    return 0


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _say(name: str, seconds: float) -> None:
    sys.stdout.write(f"{name}: the new process serves after {seconds:.1f} s\n")
    sys.stdout.flush()
