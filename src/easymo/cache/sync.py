"""The cache for programs without an event loop: Flask, Django's views and ORM, Celery tasks, scripts.

One thread per process runs an event loop for all caches of this kind. Loaders run in the thread that calls, where their
database session is. After a fork the child gets a thread and connections of its own.
"""

import asyncio
import atexit
import functools
import os
import queue
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractContextManager
from time import monotonic
from typing import Any, Final, ParamSpec, Self, TypeVar, overload

from easymo.cache import commit
from easymo.cache.cached_bytes import CachedBytes
from easymo.cache.counters import CacheStats
from easymo.cache.decorator import check_arguments, return_type
from easymo.cache.many import LoadMany
from easymo.cache.service import CacheService
from easymo.cache.store import Done
from easymo.cache.strategy import Key, Strategy, Ttl

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")
_DONE: Final = object()


class _Background:
    """The event loop of this process, and the services that are open in it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.process = os.getpid()
        self.services: list[CacheService] = []
        self._thread = threading.Thread(target=self.loop.run_forever, name="easymo-cache", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def close(self) -> None:
        if self.process != os.getpid():
            return
        for service in tuple(self.services):
            self.leave(service)
        with _locks[-1]:
            if self in _backgrounds:
                _backgrounds.remove(self)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def leave(self, service: CacheService) -> None:
        self.services.remove(service)
        self.run(service.__aexit__(None, None, None))


_locks = [threading.Lock()]
_backgrounds: list[_Background] = []
"""The last one is in use; the others belong to the processes that this one was forked from."""


def _background() -> _Background:
    with _locks[-1]:
        if not _backgrounds or _backgrounds[-1].process != os.getpid():
            _backgrounds.append(_Background())
            atexit.register(_backgrounds[-1].close)
        return _backgrounds[-1]


# Another thread may have held the lock while this process was forked.
os.register_at_fork(after_in_child=lambda: _locks.append(threading.Lock()))


class Cache:
    """`CacheService` for sync programs: the same options, methods and guarantees, with sync loaders.

    It opens itself at its first use, in each process. A call that is not answered near costs a hop to the background
    thread and back.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._make = functools.partial(CacheService, url, **options)
        self._service = self._make()
        self._process = 0

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """A cache at REDIS_URL; see `CacheService.from_env`."""
        self = cls("null://")
        self._make = functools.partial(CacheService.from_env, **options)
        self._service = self._make()
        return self

    def _open(self) -> CacheService:
        if self._process != os.getpid():
            background = _background()
            with _locks[-1]:
                if self._process != os.getpid():
                    if self._process:
                        self._service = self._make()  # the other one's connection is the parent's
                    background.run(self._service.__aenter__())
                    background.services.append(self._service)
                    self._process = os.getpid()
        return self._service

    def _run(self, work: Callable[[CacheService], Coroutine[Any, Any, T]]) -> T:
        return _background().run(work(self._open()))

    def _load(self, loader: Callable[[], Any], work: Callable[[Callable[[], Any]], Coroutine[Any, Any, T]]) -> T:
        """Run `work` in the background and the loader that it calls here."""
        calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        loop = _background().loop

        def load() -> asyncio.Future[Any]:
            asked = loop.create_future()
            calls.put(asked)
            return asked

        working = asyncio.run_coroutine_threadsafe(work(load), loop)
        working.add_done_callback(lambda _: calls.put(_DONE))
        while (asked := calls.get()) is not _DONE:
            try:
                value, error = loader(), None
            except Exception as raised:  # noqa: BLE001 (it is raised again below, through the cache)
                value, error = None, raised
            except BaseException:
                working.cancel()
                raise
            loop.call_soon_threadsafe(_answer, asked, value, error)
        return working.result()

    @overload
    def get(self, key: str | Key, default: Any = None, *, type: type[T]) -> T | None: ...
    @overload
    def get(self, key: str | Key, default: Any = None, *, type: object = Any) -> Any: ...
    def get(self, key: str | Key, default: Any = None, *, type: Any = Any) -> Any:
        """See `CacheService.get`."""
        text = key.key if isinstance(key, Key) else key
        entry = self._open()._near.entries.get(text)
        if entry is not None and entry.type is type and monotonic() < entry.refresh_at:
            entry.visited = True
            entry.counters.near_hits += 1
            return entry.value
        return self._run(lambda service: service.get(key, default, type=type))

    def get_many(
        self,
        keys: Iterable[str | Key],
        *,
        type: Any = Any,
        load: Callable[..., Any] | None = None,
        ttl: Ttl | None = None,
    ) -> dict[str, Any]:
        """See `CacheService.get_many`; `load` is a sync function."""
        service = self._open()
        if load is None:
            return self._run(lambda service: service.get_many(keys, type=type))
        wanted: list[list[Any]] = []

        def bridge(ask: Callable[[], Any]) -> LoadMany:
            def load_many(keys: list[Any]) -> Any:
                wanted.append(keys)
                return ask()

            return load_many

        return self._load(
            lambda: load(wanted.pop()), lambda ask: service.get_many(keys, type=type, load=bridge(ask), ttl=ttl)
        )

    def set(self, key: str | Key, value: Any, ttl: Ttl | None = None) -> None:
        """See `CacheService.set`."""
        self._run(lambda service: service.set(key, value, ttl))

    def set_many(self, values: Mapping[Any, Any], ttl: Ttl | None = None) -> Done:
        """See `CacheService.set_many`."""
        return self._run(lambda service: service.set_many(values, ttl))

    def add(self, key: str | Key, value: Any, ttl: Ttl | None = None) -> bool:
        """See `CacheService.add`."""
        return self._run(lambda service: service.add(key, value, ttl))

    def change(self, key: str | Key, change: Callable[[Any], Any], ttl: Ttl | None = None) -> Any:
        """See `CacheService.change`."""
        return self._run(lambda service: service.change(key, change, ttl))

    @overload
    def get_or_set(
        self, key: str | Key, loader: Callable[[], Any], *, ttl: Ttl | None = None, type: type[T], force: bool = False
    ) -> T: ...
    @overload
    def get_or_set(
        self, key: str | Key, loader: Callable[[], T], *, ttl: Ttl | None = None, type: object, force: bool = False
    ) -> T: ...
    @overload
    def get_or_set(
        self, key: str | Key, loader: Callable[[], Any], *, ttl: Ttl | None = None, force: bool = False
    ) -> Any: ...
    def get_or_set(
        self, key: str | Key, loader: Callable[[], Any], *, ttl: Ttl | None = None, type: Any = Any, force: bool = False
    ) -> Any:
        """See `CacheService.get_or_set`. The loader runs in this thread, within this call."""
        text = key.key if isinstance(key, Key) else key
        service = self._open()
        entry = service._near.entries.get(text)
        if entry is not None and entry.type is type and monotonic() < entry.refresh_at and not force:
            entry.visited = True
            entry.counters.near_hits += 1
            return entry.value
        return self._load(loader, lambda load: service.get_or_set(key, load, ttl=ttl, type=type, force=force))

    def get_or_set_bytes(self, key: str | Key, loader: Callable[[], Any], *, ttl: Ttl | None = None) -> CachedBytes:
        """See `CacheService.get_or_set_bytes`."""
        service = self._open()
        return self._load(loader, lambda load: service.get_or_set_bytes(key, load, ttl=ttl))

    def delete(self, *keys: str | Key) -> Done:
        """See `CacheService.delete`."""
        return self._run(lambda service: service.delete(*keys))

    def invalidate_tag(self, *tags: str) -> None:
        """See `CacheService.invalidate_tag`."""
        self._run(lambda service: service.invalidate_tag(*tags))

    def invalidate_pattern(self, pattern: str) -> Done:
        """See `CacheService.invalidate_pattern`."""
        return self._run(lambda service: service.invalidate_pattern(pattern))

    def after_commit(self, connection: Any) -> AbstractContextManager[commit.Later]:
        """See `CacheService.after_commit`; for a SQLAlchemy Session or Connection, psycopg, or Django's connection.

        Django commits by itself, so there the deletions are handed to `transaction.on_commit`.
        """
        return commit.after_commit_sync(self, connection)

    def disable(self) -> None:
        """See `CacheService.disable`."""
        self._run(lambda service: _called(service.disable))

    def enable(self) -> None:
        """See `CacheService.enable`."""
        self._run(lambda service: _called(service.enable))

    def stats(self) -> CacheStats:
        """See `CacheService.stats`."""
        return self._run(lambda service: service.stats())

    def close(self) -> None:
        """Disconnect; the next use opens it again. A process that ends does this by itself."""
        if self._process == os.getpid():
            self._process = 0
            background = _background()
            background.leave(self._service)
            if not background.services:
                atexit.unregister(background.close)
                background.close()

    def cached(
        self, strategy: Strategy, *, ignore: tuple[str, ...] = (), type: Any = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Keep what a sync function returns; see `easymo.cache.cached`."""

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            signature = check_arguments(function, function.__qualname__, strategy, ignore)

            @functools.wraps(function)
            def call(*arguments: P.args, **named: P.kwargs) -> R:
                bound = signature.bind(*arguments, **named)
                bound.apply_defaults()
                key = strategy(*[bound.arguments[name] for name in strategy.fields])
                value: R = self.get_or_set(
                    key, lambda: function(*arguments, **named), type=type or return_type(function)
                )
                return value

            return call

        return decorate


def _answer(asked: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if asked.done():
        return
    if error is None:
        asked.set_result(value)
    else:
        asked.set_exception(error)


async def _called(function: Callable[[], None]) -> None:
    function()
