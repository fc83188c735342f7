"""Secrets come from the environment and go nowhere: into no text of an object, no log line, no error, no output."""

import gc
import importlib
import json
import logging
import pkgutil
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog
from litestar import Litestar

import easymo_platform
from easymo.cache import CacheService
from easymo.embedded import EmbeddedError, cache_server, database_server
from easymo_platform.operations import migrate, serve
from easymo_platform.operations.serve import SERVICES
from easymo_platform.runtime.addresses import without_password
from easymo_platform.runtime.database import Database
from easymo_platform.runtime.errors import DatabaseError
from easymo_platform.runtime.logs import configure_logs
from easymo_platform.runtime.metrics import Metrics
from easymo_platform.runtime.settings import Settings, SettingsError, read_settings

MARK = "hunter2-which-nobody-may-see-0123456"
DATABASE = f"postgresql://user:{MARK}@127.0.0.1:1/db"
REDIS = f"redis://user:{MARK}@127.0.0.1:1/0"


def settings_of_the_platform() -> list[type[Settings]]:
    """Every class of settings that a module of the platform defines."""
    names = [found.name for found in pkgutil.walk_packages(easymo_platform.__path__, "easymo_platform.")]
    modules = [importlib.import_module(name) for name in names if name.endswith(".settings")]
    return [
        thing
        for module in modules
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Settings) and thing.__module__ == module.__name__
    ]


KINDS = settings_of_the_platform()


def full_of_secrets(kind: type[Settings]) -> dict[str, str]:
    """An environment in which every variable that takes a text holds one."""
    texts = {field.name.upper(): MARK for field in msgspec.structs.fields(kind) if field.type is str}
    return texts | {"DATABASE_URL": DATABASE, "REDIS_URL": REDIS, "LOG_LEVEL": "info", "TRUSTED_PROXIES": ""}


@pytest.fixture
def _logs_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()


def test_there_are_settings_of_each_service() -> None:
    assert {kind.__module__.split(".")[1] for kind in KINDS} == {
        "runtime",
        "voice_bridge",
        "video_orchestrator",
        "whatsapp_webhook",
        "agent_core",
    }


@pytest.mark.usefixtures("_logs_restored")
@pytest.mark.parametrize("kind", KINDS)
def test_settings_show_nothing_of_what_they_hold(kind: type[Settings], capsys: pytest.CaptureFixture[str]) -> None:
    settings = read_settings(kind, full_of_secrets(kind))
    assert MARK in settings.database_url
    for text in (repr(settings), str(settings), f"{settings}", f"{settings!r:>5}", "%s" % (settings,)):  # noqa: UP031
        assert MARK not in text
    configure_logs("test", "debug")
    structlog.get_logger("easymo_platform").info("started", settings=settings, all=[settings], by_name={"s": settings})
    logging.getLogger("uvicorn").info("started with %s", settings)
    said = capsys.readouterr().err
    assert said.count("Settings>") == 4
    assert MARK not in said


def everything_of_ours(app: Litestar) -> list[Any]:
    """All objects of our own classes that an application holds."""
    waiting: list[Any] = [app.state.runtime, app.state.service]
    found: dict[int, Any] = {}
    while waiting:
        thing = waiting.pop()
        if id(thing) in found or isinstance(thing, type | str | bytes | int) or callable(thing):
            continue
        found[id(thing)] = thing
        inside = gc.get_referents(thing)
        waiting += [part for part in inside if _is_ours(part) or isinstance(part, dict | list | tuple)]
    return [thing for thing in found.values() if _is_ours(thing)]


def _is_ours(thing: Any) -> bool:
    return type(thing).__module__.split(".")[0] in ("easymo", "easymo_platform")


@pytest.mark.parametrize("name", SERVICES)
def test_no_object_of_a_service_shows_a_secret(name: str, tmp_path: Any) -> None:
    module = importlib.import_module(SERVICES[name].module)
    environ: dict[str, str] = {}
    for kind in KINDS:
        environ |= full_of_secrets(kind)
    choices = {"WHATSAPP_PROVIDER": "cloud", "AGENT_PROVIDER": "openai", "RENDER_DIR": str(tmp_path), "FFMPEG": ""}
    urls = {variable: "http://127.0.0.1:1" for variable in environ if variable.endswith("_URL")}
    app = module.create(environ | choices | urls | {"DATABASE_URL": DATABASE, "REDIS_URL": REDIS})
    ours = everything_of_ours(app)
    assert {"Settings", "Runtime", "Tokens", "Database", "CacheService"} <= {
        base.__name__ for thing in ours for base in type(thing).__mro__
    }
    assert [type(thing) for thing in ours if MARK in repr(thing) or MARK in str(thing)] == []


def test_an_address_is_shown_without_its_password() -> None:
    assert without_password(f"cannot reach {DATABASE}, nor {REDIS}") == (
        "cannot reach postgresql://user:…@127.0.0.1:1/db, nor redis://user:…@127.0.0.1:1/0"
    )
    assert without_password("redis://:x@y") == "redis://:…@y"
    assert without_password("http://localhost:4405/x?mail=a@b") == "http://localhost:4405/x?mail=a@b"


@pytest.mark.usefixtures("_logs_restored")
def test_a_log_line_cuts_the_password_out_of_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("test", "info")
    try:
        raise ValueError(f"cannot reach {DATABASE}")
    except ValueError as error:
        structlog.get_logger("easymo_platform").error("lost", server=REDIS, exc_info=error)
    (line,) = capsys.readouterr().err.splitlines()
    assert "hunter2" not in line
    assert "user:…@127.0.0.1" in json.loads(line)["exception"]


MALFORMED = ("postgresql://user:hunter2/x@127.0.0.1:1/db", "postgresql://user:x@127.0.0.1:hunter2/db", "hunter2")


@pytest.mark.parametrize("address", MALFORMED)
def test_an_address_that_cannot_be_read_is_not_repeated(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A slash in a password cuts an address in two; parsers then quote the pieces."""
    redis = address.replace("postgresql", "redis")
    with pytest.raises(SettingsError) as raised:
        read_settings(Settings, {"DATABASE_URL": address, "REDIS_URL": redis, "AUTH_DISABLED": "true"})
    assert [problem.split()[0] for problem in raised.value.problems] == ["DATABASE_URL", "REDIS_URL"]
    with pytest.raises(SystemExit):
        migrate.main(["--database-url", address])
    said = [str(raised.value), capsys.readouterr().err]
    for use in (lambda: CacheService(redis), lambda: database_server(address), lambda: cache_server(redis)):
        with pytest.raises((ValueError, EmbeddedError)) as refused:
            use()
        said.append(f"{refused.value} {refused.value.__cause__}")
    assert [text for text in said if "hunter" in text or "unter2" in text] == []


async def test_a_server_that_cannot_be_reached_is_named_without_its_password() -> None:
    database = Database(DATABASE, 1, "test", {}, Metrics("test"))
    with pytest.raises(DatabaseError) as raised:
        await database.open()
    assert MARK not in f"{raised.value} {raised.value.__cause__!r}"
    cache = CacheService(REDIS)
    async with cache:
        await cache.get("anything")
        assert MARK not in repr(await cache.stats())


@pytest.mark.usefixtures("_logs_restored")
def test_a_service_that_cannot_start_says_why_without_a_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in full_of_secrets(Settings).items():
        monkeypatch.setenv(variable, value)
    assert serve.main(["voice-bridge", "--port", "0"]) == 1
    said = capsys.readouterr()
    assert "cannot start" in said.err
    assert MARK not in said.err + said.out
