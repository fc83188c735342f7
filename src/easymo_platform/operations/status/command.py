"""`python -m easymo_platform status`: what on-call types first."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import msgspec
from rich.console import Console

from easymo_platform.operations.serve import SERVICES
from easymo_platform.operations.status.database import DatabaseStatus, database_status
from easymo_platform.operations.status.problems import Problem, problems
from easymo_platform.operations.status.services import Queues, ServiceStatus, queues, read_pages, service_status
from easymo_platform.operations.status.text import print_database, print_problems, print_queues, print_services


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The platform at one moment; traffic and statements are those of the `seconds` before it."""

    at: datetime
    seconds: float
    healthy: bool
    problems: list[Problem]
    services: list[ServiceStatus]
    queues: Queues
    database: DatabaseStatus


async def look(urls: Mapping[str, str], database_url: str | None, seconds: float) -> Status:
    """Look at everything for that long. What does not answer is a problem of the status, no error."""
    (services, waiting), database = await asyncio.gather(
        _services(urls, seconds), database_status(database_url, seconds)
    )
    found = problems(services, waiting, database)
    return Status(
        at=datetime.now(UTC),
        seconds=seconds,
        healthy=not found,
        problems=found,
        services=services,
        queues=waiting,
        database=database,
    )


async def _services(urls: Mapping[str, str], seconds: float) -> tuple[list[ServiceStatus], Queues]:
    # One connection to each: behind a Kubernetes service it leads to the same pod both times.
    async with httpx.AsyncClient(trust_env=False) as client:
        before = await read_pages(client, urls)
        await asyncio.sleep(seconds)
        after = await read_pages(client, urls)
    statuses = [service_status(name, urls[name], before[name], after[name], seconds) for name in urls]
    return statuses, queues(after)


def service_urls(environ: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Where each service is: as given, as its variable (VOICE_BRIDGE_URL) says, or here at its usual port."""
    return {
        name: (
            given.get(name) or environ.get(f"{name.upper().replace('-', '_')}_URL") or f"http://127.0.0.1:{entry.port}"
        ).rstrip("/")
        for name, entry in SERVICES.items()
    }


def main(arguments: list[str]) -> int:
    """Parse, look, print. Returns 0 when nothing is wrong and 1 otherwise; with --watch as of the last look."""
    options = _parser().parse_args(arguments)
    urls = service_urls(os.environ, dict(options.url))
    healthy = False
    try:
        while True:
            status = asyncio.run(look(urls, options.database_url, options.seconds))
            healthy = status.healthy
            _print(status, as_json=options.json, clear=options.watch)
            if not options.watch:
                break
    except KeyboardInterrupt:
        if not options.watch:
            raise
    return 0 if healthy else 1


def _print(status: Status, *, as_json: bool, clear: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode(status).decode() + "\n")
        sys.stdout.flush()
        return
    console = Console(highlight=False)
    if clear:
        console.clear()
    console.print(f"{status.at:%Y-%m-%d %H:%M:%S} UTC, the last {status.seconds:g} s\n")
    print_services(console, status.services)
    console.print()
    print_queues(console, status.queues)
    print_database(console, status.database)
    console.print()
    print_problems(console, status.problems)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m easymo_platform status",
        description="Show how every service does (requests, P95, errors, cache hits, pool), what waits in the queues, "
        "which statements take the time and how Postgres runs them, and what is wrong. Changes nothing.",
        epilog="Example: python -m easymo_platform status --watch",
    )
    parser.add_argument("--database-url", default=os.environ.get("DATABASE_URL"), help="default: $DATABASE_URL")
    parser.add_argument(
        "--url",
        action="append",
        type=_address,
        default=[],
        metavar="SERVICE=URL",
        help="where a service is (default: $VOICE_BRIDGE_URL and so on, else its usual port on this machine)",
    )
    parser.add_argument("--seconds", type=_duration, default=5.0, help="how long to look (default: %(default)g)")
    parser.add_argument("--watch", action="store_true", help="again and again, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="for scripts; with --watch a line each time")
    return parser


def _address(text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    if name not in SERVICES or urlsplit(url).scheme not in ("http", "https"):
        raise argparse.ArgumentTypeError(f"{text!r} is not SERVICE=URL with one of {', '.join(SERVICES)}")
    return name, url


def _duration(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds between 0 and 3600")
    return seconds
