"""TLS on the wire of the cache, against Debian's Redis 7."""

import asyncio
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from easymo.cache import CacheService, Strategy
from easymo.embedded import Valkey
from tests.cache.conftest import DebianRedis, Loader, Open, free_port

TAGGED = Strategy("row", key="row:{id}", ttl=60, tags=("rows",))


class TlsRedis(DebianRedis):
    """Debian's Redis 7 that speaks TLS only (the wheel of Valkey has none)."""

    def __init__(self, certificate: Path, key: Path) -> None:
        files = {"tls-cert-file": str(certificate), "tls-key-file": str(key), "tls-ca-cert-file": str(certificate)}
        self.tls_port = free_port()
        super().__init__(settings=files | {"tls-port": str(self.tls_port), "tls-auth-clients": "no"})


@pytest.fixture
def tls(redis7: Valkey) -> Iterator[str]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("TLS IS NOT TESTED HERE: openssl is not installed, so there is no certificate")
    # Not below pytest's own directory, which the server's unprivileged user cannot enter.
    with tempfile.TemporaryDirectory(prefix="easymo-tls-") as name:
        folder = Path(name)
        certificate, key = folder / "cert.pem", folder / "key.pem"
        subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        command = (openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject)
        subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
        folder.chmod(0o755)
        key.chmod(0o644)
        with TlsRedis(certificate, key) as server:
            yield f"rediss://localhost:{server.tls_port}?ssl_ca_certs={certificate}"


async def test_tls_is_the_same_wire_with_the_near_cache(tls: str, open_cache: Open) -> None:
    cache, other = await open_cache(tls), await open_cache(tls)
    assert await cache.get_or_set(TAGGED(1), Loader("value")) == "value"
    assert await cache.get(TAGGED(1)) == await cache.get(TAGGED(1)) == "value"
    await other.invalidate_tag("rows")
    await cache.get("fence")
    assert await cache.get(TAGGED(1)) is None
    stats = await cache.stats()
    assert (stats.connected, stats.near, stats.near_reason) == (True, True, "")


async def test_bursts_over_tls_are_cached(tls: str, open_cache: Open) -> None:
    cache = await open_cache(tls)
    assert await cache.set_many({f"a{i}": i for i in range(1000)}) == 1000
    assert len(await cache.get_many([f"a{i}" for i in range(1000)])) == 1000
    await asyncio.gather(*[cache.get_or_set(f"b{i}", Loader(i)) for i in range(200)])
    assert len(await cache.get_many([f"b{i}" for i in range(200)])) == 200
    assert cache.local_stats().strategies[""].bypasses == 0


@pytest.mark.parametrize("option", ["", "ssl_cert_reqs=required&ssl_server_name=elsewhere"])
async def test_a_certificate_that_nobody_vouches_for_is_a_bypass(tls: str, open_cache: Open, option: str) -> None:
    address, _, given = tls.partition("?")
    cache = await open_cache(f"{address}?{given}&{option}" if option else address)
    assert await cache.get_or_set("k", Loader()) == "value"
    assert not cache.local_stats().connected
    assert "certificate" in cache.local_stats().last_error.lower()


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
async def test_tls_without_a_check_and_with_a_context_of_the_program(tls: str, open_cache: Open, scheme: str) -> None:
    address, _, given = tls.replace("rediss", scheme).partition("?")
    unchecked = await open_cache(f"{address}?ssl_cert_reqs=none")
    await unchecked.set("k", 1)
    context = ssl.create_default_context(cafile=given.partition("=")[2])
    assert await (await open_cache(address, tls=context)).get("k") == 1


@pytest.mark.parametrize("option", ["ssl_ca_certs=/absent.pem", "ssl_cert_reqs=maybe", "ssl_certificate=x"])
def test_a_tls_option_that_cannot_be_used_is_refused_with_a_sentence(option: str) -> None:
    with pytest.raises(ValueError, match="The cache URL"):
        CacheService(f"rediss://localhost?{option}")
