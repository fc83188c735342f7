"""Load over TLS: the answers come through, and a certificate that nobody vouches for is said to be one."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from easymo.load import (
    Call,
    Job,
    LoadResult,
    Request,
    Scenario,
    Stage,
    Target,
    TargetError,
    build_schedule,
    run,
    run_process,
)
from tests.load.http_server import OK, always_ok, serving


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for 127.0.0.1 that is its own authority."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed, so there is no certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, cert, both = (folder / name for name in ("key.pem", "cert.pem", "both.pem"))
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    both.write_text(key.read_text() + cert.read_text())
    return both


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """What the server needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def load(target: Target) -> LoadResult:
    """Twenty requests in 0.2 s."""
    scenario = Scenario([Request("page", 1, lambda _: Call("GET", "/page"))])
    schedule = build_schedule(scenario, {"": target}, [Stage(100, 0.2)], seed=1, arrivals="constant")
    return await run(schedule, timeout_s=2.0)


async def test_a_server_behind_tls_answers_on_connections_that_are_used_again(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serving(always_ok, tls) as (target, log):
        assert target.url.startswith("https://127.0.0.1:")
        result = await load(target)
    assert (result.statuses, result.errors) == ({"2xx": 20}, {})
    assert log.paths == ["/page"] * 20
    assert log.connections == 8  # those opened beforehand


async def test_a_load_process_speaks_tls_too(
    tls: ssl.SSLContext, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    path = tmp_path / "scenario.py"
    path.write_text(
        "from easymo.load import Call, Request, Scenario\n"
        "scenario = Scenario([Request('page', 1, lambda rng: Call('GET', '/page'))])\n"
    )
    async with serving(always_ok, tls) as (target, _):
        job = Job(scenario=str(path), urls={"": target.url}, stages=[Stage(100, 0.5)], seed=1, arrivals="constant")
        result = await asyncio.to_thread(run_process, job)
    assert (result.statuses, result.errors) == ({"2xx": 50}, {})


async def test_a_certificate_that_nobody_vouches_for_is_named(tls: ssl.SSLContext) -> None:
    async with serving(always_ok, tls) as (target, _):
        with pytest.raises(
            TargetError, match=r"its certificate is not trusted: self.signed certificate; SSL_CERT_FILE"
        ):
            await load(target)


async def test_a_server_that_speaks_no_tls_is_told_apart() -> None:
    def speak_http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()

    async with await asyncio.start_server(speak_http, "127.0.0.1", 0) as server:
        target = Target("127.0.0.1", server.sockets[0].getsockname()[1], tls=True)
        with pytest.raises(TargetError, match=r"\(TLS failed: .+\), so no load was sent"):
            await load(target)
