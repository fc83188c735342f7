"""Settings of a service, read from the environment once, at the start."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec


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
    database_pool_size: int = 8
    """Connections of this process. Over all replicas they must fit Postgres' ``max_connections``."""
    log_level: str = "info"
    shutdown_grace_s: int = 20
    """How long requests under way may take after SIGTERM before they are cut."""

    def __post_init__(self) -> None:
        problems = []
        if not self.database_url.startswith(("postgresql://", "postgres://")):
            problems.append("DATABASE_URL must start with postgresql://, for instance postgresql://127.0.0.1/easymo.")
        if self.database_pool_size < 1:
            problems.append("DATABASE_POOL_SIZE must be at least 1: without a connection no request can be answered.")
        if self.log_level not in ("debug", "info", "warning", "error"):
            problems.append("LOG_LEVEL must be debug, info, warning or error.")
        if problems:
            raise SettingsError(problems)

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
