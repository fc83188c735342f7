"""Settings from the environment."""

import pytest

from easymo_platform.runtime.settings import Settings, SettingsError, read_settings

URL = "postgresql://user:secret@db.example/easymo"
OPEN = {"AUTH_DISABLED": "true"}
KEY = "k" * 32


def test_defaults_need_only_the_database_and_a_key() -> None:
    settings = read_settings(Settings, {"DATABASE_URL": URL, "SERVICE_JWT_KEYS": f"{KEY}, {KEY}1", "UNRELATED": "x"})
    assert settings.jwt_keys() == (KEY, KEY + "1")
    assert (settings.database_url, settings.redis_enabled) == (URL, True)


def test_each_variable_is_converted_to_the_type_of_its_field() -> None:
    environ = {"DATABASE_URL": URL, "REDIS_ENABLED": "false", "DATABASE_POOL_SIZE": "3", "LOG_LEVEL": "", **OPEN}
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
        ({"DATABASE_URL": "mysql://x", "DATABASE_POOL_SIZE": "0", **OPEN}, ["DATABASE_URL", "DATABASE_POOL_SIZE"]),
        ({"DATABASE_URL": URL, "LOG_LEVEL": "loud", **OPEN}, ["LOG_LEVEL"]),
        ({"DATABASE_URL": URL, "CACHE_NEAR_MB": "-1", **OPEN}, ["CACHE_NEAR_MB"]),
        ({"DATABASE_URL": URL, "CACHE_NEAR_MB": "inf", **OPEN}, ["CACHE_NEAR_MB"]),
        ({"DATABASE_URL": URL}, ["SERVICE_JWT_KEYS"]),
        ({"DATABASE_URL": URL, "SERVICE_JWT_KEYS": f"{KEY},short"}, ["SERVICE_JWT_KEYS"]),
        ({"DATABASE_URL": URL, "TRUSTED_PROXIES": "10.0.0.1/8", **OPEN}, ["TRUSTED_PROXIES"]),
    ],
)
def test_every_problem_is_named_in_a_sentence(environ: dict[str, str], variables: list[str]) -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(Settings, environ)
    assert [problem.split()[0] for problem in raised.value.problems] == variables
    assert all(problem.endswith(".") for problem in raised.value.problems)


def test_neither_repr_nor_error_shows_a_password() -> None:
    assert "secret" not in repr(read_settings(Settings, {"DATABASE_URL": URL, **OPEN}))
    with pytest.raises(SettingsError) as raised:
        read_settings(Settings, {"DATABASE_URL": URL.replace("postgresql", "oracle")})
    assert "secret" not in str(raised.value)
