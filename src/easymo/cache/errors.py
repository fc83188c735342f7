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
            "use it inside `async with cache:` (or the Litestar or FastAPI lifespan in easymo.cache)."
        )


class StrategyError(CacheError, ValueError):
    """A `Strategy` is declared or called in a way that could mix up two keys."""


class UnstorableValue(CacheError, TypeError):
    """A loader returned something that JSON, or the `type=` of the call, cannot carry."""

    def __init__(self, key: str, reason: str) -> None:
        self.key = key
        super().__init__(
            f"The value loaded for cache key {key!r} cannot be stored: {reason}. "
            "Return JSON data, a msgspec Struct or a dataclass, and pass the same type as `type=`."
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
            f"The loader of cache key {key!r} took longer than its hard time-out of {hard_timeout_s:g} s. "
            "It goes on in the background and its value will be stored; ask again later."
        )


class AfterCommitError(CacheError):
    """`after_commit` was opened where it cannot know when the outermost transaction commits."""


class Unavailable(CacheError):
    """Redis did not answer in time or refused; inside the package only, callers never see it."""


class LateAnswer(Unavailable):
    """Redis did not answer in time."""


class Refused(Unavailable):
    """Redis answered with an error (OOM, READONLY, NOPERM, WRONGTYPE, …)."""

    @property
    def code(self) -> str:
        """The first word of the answer."""
        return str(self).split(" ", 1)[0]
