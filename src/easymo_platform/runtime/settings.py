"""Settings of a service, read from the environment once, at the start."""

import math
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeVar

import msgspec

from easymo_platform.runtime.addresses import POSTGRES, REDIS, address_problem

KEY_MIN_CHARACTERS = 32


class SettingsError(Exception):
    """The environment does not describe a service that can start; one sentence per variable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service reads. The variable of a field is its name in capitals (``DATABASE_URL``).

    A service that needs more derives from this class and adds its own fields.
    """

    database_url: str
    redis_url: str = "redis://127.0.0.1:6379"
    redis_enabled: bool = True
    """``false``: no connection to Redis is attempted and every endpoint works without the cache."""
    cache_near_mb: float = 64.0
    """MiB of cached values that this process keeps itself, as the cache estimates them; 0: it asks Redis each time."""
    database_pool_size: int = 8
    """Connections of this process. Over all replicas they must fit Postgres' ``max_connections``."""
    log_level: str = "info"
    release: str = "unreleased"
    """Which release this is: dashboards mark where it begins and compare it with the one before."""
    shutdown_delay_s: float = 0.0
    """How long it goes on serving after SIGTERM while readiness already says 503: until every proxy has noticed."""
    shutdown_grace_s: int = 20
    """How long requests under way may take after SIGTERM before they are cut, counted from the end of that delay."""
    request_limit_s: float = 15.0
    """How long a request may take; longer than what it waits for, 10 s for a statement and 10 s for a peer."""

    service_jwt_keys: str = ""
    """Keys of the service tokens, separated by commas: the first one signs, all verify."""
    auth_disabled: bool = False
    """``true``: nobody is asked who they are, nor counted. For one's own machine only."""
    rate_limit_service: int = 6000
    """Requests a minute of one service, over all replicas; 0: no limit."""
    rate_limit_stranger: int = 60
    """The same of one address without a valid token."""
    rate_limit_load_test: int = 0
    """The same of a load test (subject ``load-test``)."""
    rate_limit_exempt: str = "whatsapp-webhook"
    """Subjects without a limit, separated by commas: our own workers, whose number at work bounds what they ask."""
    trusted_proxies: str = ""
    """Networks whose X-Forwarded-For is believed, separated by commas (``10.0.0.0/8``)."""

    def __post_init__(self) -> None:
        problems = []
        for variable, schemes in (("DATABASE_URL", POSTGRES), ("REDIS_URL", REDIS)):
            if problem := address_problem(variable, getattr(self, variable.lower()), schemes):
                problems.append(problem)
        if self.database_pool_size < 1:
            problems.append("DATABASE_POOL_SIZE must be at least 1: without a connection no request can be answered.")
        if not 0 <= self.cache_near_mb < math.inf:
            problems.append("CACHE_NEAR_MB must be 0 or more: it is the memory for cached values, in MiB.")
        if not self.request_limit_s > 0:
            problems.append("REQUEST_LIMIT_S must be greater than 0: every request would be refused.")
        if self.log_level not in ("debug", "info", "warning", "error"):
            problems.append("LOG_LEVEL must be debug, info, warning or error.")
        problems += self._problems_of_access()
        if problems:
            raise SettingsError(problems)

    def _problems_of_access(self) -> list[str]:
        problems = []
        if not self.auth_disabled and not self.jwt_keys():
            problems.append(
                "SERVICE_JWT_KEYS is not set: nobody could be told from a stranger. Give it one key or several, or set "
                "AUTH_DISABLED=true where strangers cannot reach the service."
            )
        if any(len(key) < KEY_MIN_CHARACTERS for key in self.jwt_keys()):
            problems.append(f"SERVICE_JWT_KEYS holds a key of less than {KEY_MIN_CHARACTERS} characters.")
        try:
            self.proxy_networks()
        except ValueError as error:
            problems.append(f"TRUSTED_PROXIES is malformed: {error}.")
        return problems

    def jwt_keys(self) -> tuple[str, ...]:
        """The keys in :attr:`service_jwt_keys`."""
        return tuple(key.strip() for key in self.service_jwt_keys.split(",") if key.strip())

    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks in :attr:`trusted_proxies`."""
        return tuple(ip_network(part.strip()) for part in self.trusted_proxies.split(",") if part.strip())

    def __repr__(self) -> str:
        """Names the class only: the URLs may hold passwords and settings end up in logs."""
        return f"<{type(self).__name__}>"


S = TypeVar("S", bound=Settings)


def read_settings(kind: type[S], environ: Mapping[str, str]) -> S:
    """The settings of ``kind`` from ``environ``; an empty variable counts as absent.

    Raises:
        SettingsError: with a sentence for every variable that is missing or malformed. Values are not repeated in it.
    """
    values: dict[str, object] = {}
    problems: list[str] = []
    for field in msgspec.structs.fields(kind):
        variable = field.name.upper()
        text = environ.get(variable, "")
        if not text:
            if field.required:
                problems.append(f"{variable} is not set: the service cannot start without it.")
            continue
        try:
            values[field.name] = msgspec.convert(text, field.type, strict=False)
        except msgspec.ValidationError as error:
            problems.append(f"{variable} is malformed: {error}.")
    if problems:
        raise SettingsError(problems)
    return kind(**values)  # type: ignore[arg-type]
