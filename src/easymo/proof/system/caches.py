"""A cache of its own for every arm: an embedded server each, or an empty logical database each of the user's server."""

import contextlib
from urllib.parse import urlsplit, urlunsplit

import redis

from easymo.embedded import CacheServer, cache_server
from easymo.proof.errors import ProofError, RunVoid


class ArmCaches:
    """Addresses per arm, and the servers behind them."""

    def __init__(self, stack: contextlib.ExitStack, arms: list[str], given_url: str | None) -> None:
        if given_url:
            server = stack.enter_context(cache_server(given_url))
            numbers = _empty_databases(given_url, len(arms))
            self.servers: dict[str, CacheServer] = dict.fromkeys(arms, server)
            self.urls = {arm: _with_database(given_url, number) for arm, number in zip(arms, numbers, strict=True)}
            for url in self.urls.values():
                stack.callback(_flush, url)
        else:
            self.servers = {arm: stack.enter_context(cache_server(None)) for arm in arms}
            self.urls = {arm: server.url for arm, server in self.servers.items()}
        self.version = _version(next(iter(self.urls.values())))

    def empty(self, arm: str) -> None:
        """Forget everything in the arm's own logical database; raises :class:`RunVoid` when the server is gone."""
        try:
            with contextlib.closing(redis.Redis.from_url(self.urls[arm])) as client:
                client.flushdb()
        except redis.RedisError as error:
            raise RunVoid(
                f"The cache of arm {arm!r} could not be emptied ({error}), so nothing cold can be measured."
                " Run it again."
            ) from error


def _version(url: str) -> str:
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        info = client.info("server")
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def _empty_databases(url: str, needed: int) -> list[int]:
    """Numbers of empty logical databases, highest first; the user's own data is never touched."""
    try:
        with contextlib.closing(redis.Redis.from_url(url)) as client:
            total = int(client.config_get("databases").get("databases") or 16)
            used = {int(name[2:]) for name in client.info("keyspace")}
    except redis.RedisError as error:
        raise ProofError(
            f"Cannot use the Redis server of REDIS_URL: {error}."
            " Correct the address, or unset it to use the embedded server."
        ) from error
    empty = [number for number in range(total - 1, -1, -1) if number not in used]
    if len(empty) < needed:
        raise ProofError(
            f"The Redis server of REDIS_URL has {len(empty)} empty logical databases and {needed} are needed, one per"
            " arm; those with data are never touched. Free some, or unset REDIS_URL to use the embedded server."
        )
    return empty[:needed]


def _flush(url: str) -> None:
    """Empty what was found empty; a server that is gone has nothing to flush."""
    with contextlib.suppress(redis.ConnectionError), contextlib.closing(redis.Redis.from_url(url)) as client:
        client.flushdb()


def _with_database(url: str, number: int) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.netloc}{parts.path}?db={number}"
    return urlunsplit(parts._replace(path=f"/{number}"))
