"""`easymo cache`: look into a cache and drop what should not be there."""

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:  # the engine needs the extra `cache`: other commands must start without it
    from easymo.cache.inspection import Inspected

app = typer.Typer(help="Look into a cache: figures, one value, and what to drop.", no_args_is_help=True)

NamespaceOption = Annotated[str, typer.Option(help="First word of every key of the cache.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HTTP_TIMEOUT_S = 5
COLUMNS = {
    "near": "near_hits",
    "redis": "redis_hits",
    "stale": "stale",
    "miss": "misses",
    "bypass": "bypasses",
    "load": "loads",
    "error": "load_errors",
}


@app.command(epilog="Example: easymo cache stats --url http://localhost:4405 --url http://localhost:4900")
def stats(
    url: Annotated[list[str] | None, typer.Option(help="A service; GET /cache/stats is asked. Repeatable.")] = None,
    token: Annotated[str | None, typer.Option(help="Bearer token for the services.", envvar="EASYMO_TOKEN")] = None,
    as_json: JsonOption = False,
) -> None:
    """Counters per strategy of each service named by --url, and Redis' own figures by REDIS_URL."""
    from easymo.cache.errors import CacheError
    from easymo.cache.inspection import server_figures

    try:
        services = {address: _ask(address, token) for address in url or ()}
        server = server_figures(os.environ["REDIS_URL"]) if os.environ.get("REDIS_URL") else None
    except (CacheError, ValueError) as error:
        _fail(str(error))
    if not services and server is None:
        _fail("Nothing to ask: name services with --url, or a server with REDIS_URL.", 2)
    if as_json:
        sys.stdout.write(json.dumps({"services": services, "server": server}, indent=2) + "\n")
        return
    console = Console()
    for address, found in services.items():
        console.print(_strategies(address, found))
    if server is not None:
        console.print("Redis (all clients): " + ", ".join(f"{name} {value}" for name, value in server.items()))


@app.command(epilog="Example: easymo cache get voice_call:7")
def get(
    key: Annotated[str, typer.Argument()], namespace: NamespaceOption = "easymo", as_json: JsonOption = False
) -> None:
    """What Redis (REDIS_URL) holds under KEY: value, time left, tags. Exit code 1 when there is nothing."""
    from easymo.cache.errors import CacheError
    from easymo.cache.inspection import inspect

    try:
        found = inspect(_redis_url(), namespace, key)
    except (CacheError, ValueError) as error:
        _fail(str(error))
    if found is None:
        _fail(f"Nothing is stored under {key!r} in namespace {namespace!r}.", 1)
    if as_json:
        from msgspec.json import encode

        sys.stdout.write(encode(found).decode() + "\n")
    else:
        typer.echo(_described(found))


@app.command(epilog="Example: easymo cache invalidate 'voice_call:*' (then again with --yes)")
def invalidate(
    pattern: Annotated[str | None, typer.Argument(help="A key, or a glob of keys.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Everything that carries this tag. Repeatable.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it only the count is shown.")] = False,
    namespace: NamespaceOption = "easymo",
    as_json: JsonOption = False,
) -> None:
    """Show how many keys would go (REDIS_URL), and delete them with --yes, in every process at once."""
    from easymo.cache.errors import CacheError
    from easymo.cache.inspection import count_matching

    if pattern is None and not tag:
        _fail("Say what to drop: a key, a glob such as 'voice_call:*', or --tag TAG.", 2)
    try:
        url = _redis_url()
        matching = count_matching(url, namespace, pattern) if pattern is not None else 0
        deleted = asyncio.run(_drop(url, namespace, pattern, tag or [])) if yes else 0
    except (CacheError, ValueError) as error:
        _fail(str(error))
    if as_json:
        done = {"pattern": pattern, "tags": tag or [], "matching": matching, "deleted": deleted, "done": yes}
        sys.stdout.write(json.dumps(done) + "\n")
        return
    if pattern is not None:
        typer.echo(
            f"{matching} keys match {pattern!r} in namespace {namespace!r}" + (f"; {deleted} deleted." if yes else ".")
        )
    for name in tag or []:
        typer.echo(f"tag {name!r}: " + ("invalidated." if yes else "everything that carries it would be invalidated."))
    if not yes:
        typer.echo("Nothing was changed. Add --yes to do it.")


async def _drop(url: str, namespace: str, pattern: str | None, tags: list[str]) -> int:
    from easymo.cache import CacheService

    async with CacheService(url, namespace=namespace, near_bytes=0, timeout=5) as cache:
        if tags:
            await cache.invalidate_tag(*tags)
        deleted = await cache.invalidate_pattern(pattern) if pattern is not None else 0
        waiting = cache.local_stats().deletions_waiting
    if waiting:
        raise ValueError(f"Redis did not confirm {waiting} of the deletions. Try again.")
    return deleted


def _ask(address: str, token: str | None) -> Any:
    request = urllib.request.Request(f"{address.rstrip('/')}/cache/stats")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        raise ValueError(f"{address}/cache/stats answered {error.code}. Is a --token needed?") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{address}/cache/stats cannot be read: {error}. Is the service up?") from error


def _strategies(address: str, found: Any) -> Table:
    near = "on" if found["near"] else f"off ({found['near_reason']})"
    state = "connected" if found["connected"] else "not connected" if found["enabled"] else "off"
    table = Table(title=f"{address}: Redis {state}, near cache {near}", title_justify="left")
    table.add_column("strategy", no_wrap=True)
    for name in ("hits", *COLUMNS):
        table.add_column(name, justify="right")
    for name, counted in found["strategies"].items():
        hits = counted["near_hits"] + counted["redis_hits"] + counted["stale"]
        reads = hits + counted["misses"] + counted["bypasses"]
        rate = f"{hits / reads:.0%}" if reads else "–"
        table.add_row(name or "(keys as text)", rate, *(str(counted[field]) for field in COLUMNS.values()))
    return table


def _described(found: "Inspected") -> str:
    if found.state == "lease":
        return f"{found.key}: being loaded by somebody right now"
    if found.state == "foreign":
        return f"{found.key}: {found.size_bytes} bytes that easymo.cache did not write; reads count as misses"
    lines = [
        f"{found.key}: {found.size_bytes} bytes",
        f"fresh for {found.fresh_for_s:.1f} s, kept for {found.kept_for_s:.1f} s",
        *([f"tags: {', '.join(found.tags)}"] if found.tags else []),
        *([f"invalidated through: {', '.join(found.outdated)} (it is not served)"] if found.outdated else []),
        json.dumps(found.value, indent=2, ensure_ascii=False),
    ]
    return "\n".join(lines)


def _redis_url() -> str:
    url = os.environ.get("REDIS_URL")
    if not url:
        _fail("REDIS_URL is not set, so there is no server to ask: REDIS_URL=redis://localhost:6379 easymo cache …", 2)
    return url


def _fail(sentence: str, code: int = 3) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
