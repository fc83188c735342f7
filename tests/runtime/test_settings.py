"""Settings from the environment."""

import pytest

from easymo_platform.runtime.settings import Settings, SettingsError, read_settings

URL = "postgresql://user:secret@db.example/easymo"


def test_defaults_need_only_the_database() -> None:
    settings = read_settings(Settings, {"DATABASE_URL": URL, "UNRELATED": "x"})
    assert (settings.database_url, settings.redis_enabled) == (URL, True)


def test_each_variable_is_converted_to_the_type_of_its_field() -> None:
    environ = {"DATABASE_URL": URL, "REDIS_ENABLED": "false", "DATABASE_POOL_SIZE": "3", "LOG_LEVEL": ""}
    settings = read_settings(Settings, environ)
    assert (settings.redis_enabled, settings.database_pool_size, settings.log_level) == (False, 3, "info")


@pytest.mark.parametrize(
    ("environ", "variables"),
    [
        ({}, ["DATABASE_URL"]),
        ({"DATABASE_POOL_SIZE": "many"}, ["DATABASE_URL", "DATABASE_POOL_SIZE"]),
        (
            {"DATABASE_URL": URL, "REDIS_ENABLED": "perhaps", "SHUTDOWN_GRACE_S": "1 h"},
            ["REDIS_ENABLED", "SHUTDOWN_GRACE_S"],
        ),
        ({"DATABASE_URL": "mysql://x", "DATABASE_POOL_SIZE": "0"}, ["DATABASE_URL", "DATABASE_POOL_SIZE"]),
        ({"DATABASE_URL": URL, "LOG_LEVEL": "loud"}, ["LOG_LEVEL"]),
    ],
)
def test_every_problem_is_named_in_a_sentence(environ: dict[str, str], variables: list[str]) -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(Settings, environ)
    assert [problem.split()[0] for problem in raised.value.problems] == variables
    assert all(problem.endswith(".") for problem in raised.value.problems)


def test_neither_repr_nor_error_shows_a_password() -> None:
    assert "secret" not in repr(read_settings(Settings, {"DATABASE_URL": URL}))
    with pytest.raises(SettingsError) as raised:
        read_settings(Settings, {"DATABASE_URL": URL.replace("postgresql", "oracle")})
    assert "secret" not in str(raised.value)
