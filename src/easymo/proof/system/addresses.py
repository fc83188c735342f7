"""Parts of the addresses of an arm's servers: placeholders and environment for libraries that take no URL."""

from urllib.parse import parse_qsl, unquote, urlsplit


def database_places(url: str) -> dict[str, str]:
    """Placeholders `database_url`, `_host`, `_port`, `_name`, `_user` and `_password`."""
    parts = _parts(url, "5432")
    return {"database_url": url, **{f"database_{key}": value for key, value in parts.items()}}


def cache_places(url: str) -> dict[str, str]:
    """Placeholders `redis_url`, `_host`, `_port`, `_name` (number of the logical database), `_user` and `_password`."""
    parts = _parts(url, "6379")
    parts["name"] = parts["name"] or "0"
    return {"redis_url": url, **{f"redis_{key}": value for key, value in parts.items()}}


def server_environment(database_url: str, cache_url: str) -> dict[str, str]:
    """`DATABASE_URL`, `REDIS_URL`, and libpq's own variables: without them PGHOST of the user's shell would decide."""
    libpq = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password", "PGDATABASE": "name"}
    parts = database_places(database_url)
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": cache_url,
        **{name: parts[f"database_{part}"] for name, part in libpq.items()},
    }


def _parts(url: str, default_port: str) -> dict[str, str]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    on_socket = parts.scheme == "unix"  # of a cache: the path is the socket's
    return {
        "host": query.get("host") or unquote(parts.path if on_socket else parts.hostname or "localhost"),
        "port": query.get("port") or str(parts.port or default_port),
        "name": query.get("db", "") if on_socket else unquote(parts.path.lstrip("/")),
        "user": unquote(parts.username or query.get("user", "")),
        "password": unquote(parts.password or query.get("password", "")),
    }
