"""What can go wrong in the cache, as sentences.

Redis being away is not among them: the cache goes on without it and counts the event (`CacheService.stats`).
"""


class CacheError(Exception):
    """Root of every error that `easymo.cache` raises on purpose."""


class CacheNotOpen(CacheError):
    """The service was used outside `async with cache:`."""

    def __init__(self) -> None:
        super().__init__(
            "The cache is not open, so it has no connection and no place to put values: "
            "use it inside `async with cache:` (or the Litestar or FastAPI lifespan in easymo.cache), in the event "
            "loop in which it was opened."
        )


class StrategyError(CacheError, ValueError):
    """A `Strategy` is declared or called in a way that could mix up two keys."""


class UnstorableValue(CacheError, TypeError):
    """A loader returned something that JSON, or the `type=` of the call, cannot carry."""

    def __init__(self, key: str, reason: str) -> None:
        self.key = key
        super().__init__(
            f"The value loaded for cache key {key!r} cannot be stored: {reason}. "
            "Return JSON data, a pydantic model, a msgspec Struct, a dataclass or TypedDict; pass its type as `type=`."
        )


class LoaderCancelled(CacheError):
    """A loader ended by cancelling itself; its callers were not cancelled and must not look as if they were."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(
            f"The loader of cache key {key!r} was cancelled from inside, so it has no value: "
            "look for a task or timeout in the loader that is cancelled without being handled."
        )


class LoaderTimeout(CacheError, TimeoutError):
    """A loader took longer than its strategy's `hard_timeout` and no stale value was left to serve."""

    def __init__(self, key: str, hard_timeout_s: float) -> None:
        self.key = key
        self.hard_timeout_s = hard_timeout_s
        super().__init__(
            f"The loader of cache key {key!r} took longer than its hard time-out of {hard_timeout_s:g} s, so there is "
            "no value. Ask again later, or give the strategy more time."
        )


class RecursiveLoad(CacheError, RuntimeError):
    """A loader asked for the key that it is loading, and would have waited for itself."""

    def __init__(self, key: str, chain: list[str]) -> None:
        self.key = key
        super().__init__(
            f"The loader of cache key {key!r} asks for that key itself ({' → '.join([*chain, key])}), so it would wait "
            "for its own value for ever. Call the function behind the cache instead, or use another key."
        )


class PatternRefused(CacheError):
    """The server does not permit SCAN, without which no pattern can be invalidated."""

    def __init__(self, pattern: str, reason: object) -> None:
        super().__init__(
            f"The pattern {pattern!r} was not invalidated: the server refuses SCAN ({reason}). Give the values a tag "
            "and use invalidate_tag."
        )


class CacheWarning(UserWarning):
    """An invalidation that had no effect and never could have."""


class AfterCommitError(CacheError):
    """`after_commit` was opened where it cannot know when the outermost transaction commits."""


class Unavailable(CacheError):
    """Redis did not answer in time or refused. Only `CacheService.eval` raises it: everything else has a loader."""


class LateAnswer(Unavailable):
    """Redis did not answer in time."""


_OF_THE_MOMENT = ("running script", "loading", "readonly")


class Refused(Unavailable):
    """Redis answered with an error (OOM, READONLY, NOPERM, WRONGTYPE, …)."""

    @property
    def code(self) -> str:
        """The first word of the answer."""
        return str(self).split(" ", 1)[0]

    @property
    def of_the_command(self) -> bool:
        """Whether the server will never take this command from us, in whatever words it says so."""
        return self.code in ("NOPERM", "ERR") and not any(sign in str(self).lower() for sign in _OF_THE_MOMENT)


def needs(module: str, package: str) -> ModuleNotFoundError:
    """What to raise where a part of the cache is imported without the package it is for."""
    return ModuleNotFoundError(f"{module} needs {package}, which is not installed: pip install {package}", name=package)
