"""A service on a Postgres and a Redis that speak TLS only, with a certificate that one authority vouches for."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from easymo_platform.operations.migrate import migrate
from easymo_platform.runtime.errors import DatabaseError
from easymo_platform.voice_bridge.app import create
from tests import asgi
from tests.cache.test_tls import TlsRedis
from tests.indexes.servers import postgres_15_over_tls, program


class Authority(NamedTuple):
    """A certificate that signs for itself, and its key."""

    certificate: Path
    key: Path


class Servers(NamedTuple):
    postgres_port: int
    redis_port: int
    right: Path
    wrong: Path

    def database(self, query: str, host: str = "localhost") -> str:
        return f"postgresql://postgres@{host}:{self.postgres_port}/postgres?{query}"

    def verified(self, authority: Path) -> dict[str, str]:
        """An environment in which both servers must be vouched for by this authority."""
        return {
            "DATABASE_URL": self.database(f"sslmode=verify-full&sslrootcert={authority}"),
            "REDIS_URL": f"rediss://localhost:{self.redis_port}/0?ssl_ca_certs={authority}",
            "DATABASE_POOL_SIZE": "1",
            "AUTH_DISABLED": "true",
        }


def authority(folder: Path, name: str) -> Authority:
    made = Authority(folder / f"{name}.crt", folder / f"{name}.key")
    openssl = program(shutil.which("openssl"), "openssl")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run(command, check=True, capture_output=True)
    made.key.chmod(0o644)  # the servers run as another user
    return made


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    program(shutil.which("redis-server"), "redis-server")
    # Not below pytest's own directory, which the servers' unprivileged user cannot enter.
    with tempfile.TemporaryDirectory(prefix="easymo-tls-", dir="/var/tmp") as name:
        os.chmod(name, 0o755)
        right, wrong = (authority(Path(name), of) for of in ("right", "wrong"))
        with postgres_15_over_tls(*right) as port, TlsRedis(*right) as redis:
            asyncio.run(migrate(f"postgresql://postgres@localhost:{port}/postgres?sslmode=require"))
            yield Servers(port, redis.tls_port, right.certificate, wrong.certificate)


async def test_a_service_works_over_tls_with_both_servers(servers: Servers) -> None:
    app = create(servers.verified(servers.right))
    transport = asgi.transport(app)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://voice-bridge") as client:
        assert (await client.get("/health/ready")).status_code == 200
        async with asyncio.timeout(30):
            while (await client.get("/analytics/live-calls")).headers["x-cache"] != "HIT":
                pass
        encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
        async with app.state.runtime.database.session() as session:
            assert await session.connection.fetchval(encrypted) is True


async def test_a_postgres_that_another_authority_vouches_for_is_refused(servers: Servers) -> None:
    app = create(servers.verified(servers.wrong))
    with pytest.raises(DatabaseError, match="certificate verify failed"):
        await app.state.runtime.database.open()


async def test_a_certificate_for_another_host_is_refused(servers: Servers) -> None:
    query = f"sslmode=verify-full&sslrootcert={servers.right}"
    app = create(servers.verified(servers.right) | {"DATABASE_URL": servers.database(query, host="127.0.0.1")})
    with pytest.raises(DatabaseError, match="certificate verify failed"):
        await app.state.runtime.database.open()


async def test_a_redis_that_another_authority_vouches_for_is_not_used(servers: Servers) -> None:
    right, wrong = servers.verified(servers.right), servers.verified(servers.wrong)
    app = create(right | {"REDIS_URL": wrong["REDIS_URL"]})
    transport = asgi.transport(app)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://voice-bridge") as client:
        async with asyncio.timeout(30):  # on a busy machine the first attempt may end before the hand-shake does
            while "certificate" not in app.state.runtime.cache.local_stats().last_error.lower():
                assert (await client.get("/analytics/live-calls")).headers["x-cache"] == "BYPASS"


async def test_the_servers_take_nothing_without_tls(servers: Servers) -> None:
    app = create(servers.verified(servers.right) | {"DATABASE_URL": servers.database("sslmode=disable")})
    with pytest.raises(DatabaseError, match=r"no pg_hba\.conf entry"):
        await app.state.runtime.database.open()
