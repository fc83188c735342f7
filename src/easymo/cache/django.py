"""A Django cache backend on `easymo.cache.sync`.

    CACHES = {"default": {"BACKEND": "easymo.cache.django.Backend", "LOCATION": "redis://localhost:6379"}}

OPTIONS are those of `CacheService`. Values are JSON: what Django would pickle is refused. Django's TIMEOUT None means a
year, and everything ends.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from easymo.cache.errors import needs

try:
    from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
except ModuleNotFoundError as error:
    raise needs(__name__, "django") from error

from easymo.cache.service import MISSING
from easymo.cache.strategy import Key, Strategy
from easymo.cache.sync import Cache

FOREVER_S: Final = 365 * 86400
_AS_IT_IS: Final = Strategy("django", key="django:{key}")
"""Django makes the keys itself."""


class Backend(BaseCache):
    """Near and far, coherent between processes, and fail-open, behind Django's interface."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.cache = Cache(server, **{"namespace": "django", **(params.get("OPTIONS") or {})})

    def validate_key(self, key: str) -> None:
        """Any text is a key here; Django's own check is about memcached."""

    def _ttl(self, timeout: Any) -> float:
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return FOREVER_S if seconds is None else max(0, seconds)

    def _key(self, key: Any, version: int | None) -> Key:
        return Key(self.make_and_validate_key(key, version=version), _AS_IT_IS)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self.cache.add(self._key(key, version), value, self._ttl(timeout))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self.cache.get(self._key(key, version), default)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self.cache.set(self._key(key, version), value, self._ttl(timeout))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._change(key, version, lambda value: value, timeout) is not MISSING

    def delete(self, key: Any, version: int | None = None) -> bool:
        return bool(self.cache.delete(self._key(key, version)))

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return self.cache.get(self._key(key, version), MISSING) is not MISSING

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Raises ValueError where there is no value."""
        value = self._change(key, version, lambda value: value + delta)
        if value is MISSING:
            raise ValueError(f"Key {key!r} not found")
        return int(value)

    def _change(self, key: Any, version: int | None, change: Callable[[Any], Any], timeout: Any = None) -> Any:
        ttl = None if timeout is None else self._ttl(timeout)
        return self.cache.change(self._key(key, version), change, ttl)

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        names = {self._key(key, version): key for key in keys}
        values = self.cache.get_many(names)
        return {key: values[name.key] for name, key in names.items() if name.key in values}

    def set_many(self, data: dict[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> list[Any]:
        values = {self._key(key, version): value for key, value in data.items()}
        return list(data) if self.cache.set_many(values, self._ttl(timeout)).undone else []

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        self.cache.delete(*[self._key(key, version) for key in keys])

    def clear(self) -> None:
        self.cache.invalidate_pattern("*")

    def close(self, **_: Any) -> None:
        """Django calls it after each request; the connection stays."""
