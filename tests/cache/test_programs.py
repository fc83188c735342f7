"""In the programs that people have: any event loop, forks, sync code, tests, tracing."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import freezegun
import pytest
import time_machine
from asgiref.sync import async_to_sync

from easymo.cache import CacheService, Strategy, cached
from easymo.cache.errors import CacheError, CacheNotOpen, RecursiveLoad
from easymo.cache.pytest import TestCache, easymo_cache
from easymo.cache.sync import Cache
from easymo.embedded import Valkey
from tests.cache.conftest import Loader, Open, eventually

__all__ = ["easymo_cache"]  # the fixture; a program names the plugin in its root conftest.py
ROW = Strategy("row of programs", key="programs-row:{id}", ttl=60, stale_for=60, tags=("programs-rows",))


@pytest.fixture(params=["valkey", "memory"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("valkey").url) if request.param == "valkey" else "memory://"


class TestLoops:
    """A module-level cache in one event loop after the other."""

    def test_it_works_in_three_loops_one_after_the_other(self, url: str, namespace: str) -> None:
        cache = CacheService(url, namespace=namespace)

        async def run() -> Any:
            async with cache:
                await cache.get_or_set("k", Loader())
                return await cache.get("k"), cache.local_stats().connected

        assert [asyncio.run(run()) for _ in range(3)] == [("value", True)] * 3
        assert async_to_sync(run)() == ("value", True)

    def test_a_loop_that_ends_without_closing_it_is_forgotten(self, url: str, namespace: str) -> None:
        cache = CacheService(url, namespace=namespace)

        async def leave_open() -> None:
            await cache.__aenter__()
            await cache.set("k", "old", ttl=60)
            assert await cache.get("k") == "old"

        async def use_without_opening() -> None:
            with pytest.raises(CacheNotOpen, match="event loop"):
                await cache.get("k")

        async def use() -> None:
            async with cache:
                await cache.set("k", "new", ttl=60)
                assert await cache.get("k") == "new"

        for run in (leave_open, use_without_opening, use, leave_open, use):
            asyncio.run(run())

    async def test_it_may_be_opened_twice_in_one_loop(self, url: str, namespace: str) -> None:
        cache = CacheService(url, namespace=namespace)
        async with cache:
            async with cache:
                await cache.set("k", 1)
            assert await cache.get("k") == 1
        with pytest.raises(CacheNotOpen):
            await cache.get("k")

    async def test_two_loops_at_once_are_refused_with_a_sentence(self, url: str, namespace: str) -> None:
        errors: list[Exception] = []

        async def open_it() -> None:
            async with cache:
                pass

        def in_a_thread() -> None:
            try:
                asyncio.run(open_it())
            except CacheError as error:
                errors.append(error)

        async with CacheService(url, namespace=namespace) as cache:
            await asyncio.to_thread(in_a_thread)
            assert "easymo.cache.sync" in str(errors[0])
            await cache.set("k", 1)
            assert await cache.get("k") == 1

    async def test_opening_again_waits_for_the_connection(self, valkey: Valkey, namespace: str) -> None:
        cache = CacheService(valkey.url, namespace=namespace)
        for _ in range(3):
            async with cache:
                assert cache.local_stats().connected
                assert await cache.get_or_set("k", Loader()) == "value"
        assert cache.local_stats().strategies[""].bypasses == 0

    async def test_memory_is_empty_each_time_it_is_opened(self) -> None:
        cache = CacheService("memory://")
        async with cache:
            await cache.set("k", 1)
        async with cache:
            assert await cache.get("k") is None


class TestLoaders:
    """A loader that waits for itself, or for ever, harms nobody else."""

    async def test_a_loader_that_asks_for_its_own_key_is_told(self, url: str, open_cache: Open) -> None:
        cache = await open_cache(url)

        async def load_a() -> Any:
            return await cache.get_or_set("a", load_a)

        async def load_b() -> Any:
            return await cache.get_or_set("c", load_c)

        async def load_c() -> Any:
            return await cache.get_or_set("b", load_b)

        async def through_gather() -> Any:
            return await asyncio.gather(cache.get_or_set("d", through_gather), cache.get_or_set("e", Loader()))

        async with asyncio.timeout(5):
            for key, load in (("a", load_a), ("b", load_b), ("d", through_gather)):
                with pytest.raises(RecursiveLoad, match=f"asks for that key itself \\({key} → "):
                    await cache.get_or_set(key, load)
        assert await cache.get_or_set("a", Loader()) == "value"

    async def test_two_loaders_that_wait_for_each_other_are_told(self, url: str, open_cache: Open) -> None:
        cache = await open_cache(url)
        both = asyncio.Barrier(2)

        def load(other: str) -> Callable[[], Any]:
            async def load_it() -> Any:
                await both.wait()
                return await cache.get_or_set(other, load("a" if other == "b" else "b"))

            return load_it

        async with asyncio.timeout(5):
            results = await asyncio.gather(
                cache.get_or_set("a", load("b")), cache.get_or_set("b", load("a")), return_exceptions=True
            )
        assert {type(result) for result in results} == {RecursiveLoad}

    async def test_a_task_that_a_loader_started_may_ask_for_its_key_later(self, url: str, open_cache: Open) -> None:
        cache = await open_cache(url)
        later: list[asyncio.Task[Any]] = []
        go_on = asyncio.Event()

        async def ask_later() -> Any:
            await go_on.wait()
            await cache.delete("k")
            return await cache.get_or_set("k", Loader("later"))

        async def load() -> str:
            later.append(asyncio.create_task(ask_later()))
            return "value"

        assert await cache.get_or_set("k", load) == "value"
        go_on.set()
        assert await later[0] == "later"

    async def test_a_loader_that_hangs_does_not_stop_the_key(
        self, valkey: Valkey, open_cache: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("easymo.cache.lease.LOAD_LIMIT_S", 0.3)
        monkeypatch.setattr("easymo.cache.lease.RENEW_S", 0.05)
        monkeypatch.setattr("easymo.cache.lease._LEASE_MS", 200)
        cache, other = await open_cache(valkey.url), await open_cache(valkey.url)
        hung = Loader()
        hung.hold()
        hanging = asyncio.create_task(cache.get_or_set("k", hung))
        await hung.started.wait()
        async with asyncio.timeout(5):
            calls = [service.get_or_set("k", Loader("of another")) for service in (cache, other) for _ in range(5)]
            assert await asyncio.gather(*calls) == ["of another"] * 10
        hung.release()
        assert await hanging == "value"
        assert await other.get("k") == "of another"

    async def test_a_stale_value_is_loaded_within_a_call_and_the_others_get_the_old_one(
        self, url: str, open_cache: Open
    ) -> None:
        cache, loader = await open_cache(url), Loader("old")
        brief = Strategy("brief of programs", key="programs-brief:{id}", ttl=0.01, stale_for=60)
        await cache.get_or_set(brief(1), loader)

        async def is_stale() -> bool:
            return await cache.get(brief(1)) is None

        await eventually(is_stale)
        loader.value = "new"
        loader.hold()
        owner = asyncio.create_task(cache.get_or_set(brief(1), loader))
        await loader.started.wait()
        assert await asyncio.gather(*[cache.get_or_set(brief(1), loader) for _ in range(10)]) == ["old"] * 10
        owner.cancel()
        await asyncio.gather(owner, return_exceptions=True)
        assert loader.finished == 1, "the load ended with its call"
        loader.release()
        await asyncio.sleep(0)
        assert loader.finished == 1

    async def test_nothing_is_loaded_before_its_ttl_ends_unless_the_strategy_says_so(
        self, url: str, open_cache: Open
    ) -> None:
        cache, loader = await open_cache(url), Loader()
        hot = Strategy("hot of programs", key="programs-hot:{id}", ttl=0.4)
        await cache.get_or_set(hot(1), loader)
        ends_at = time.monotonic() + 0.35
        while time.monotonic() < ends_at:
            await cache.get_or_set(hot(1), loader, background_safe=True)
            await asyncio.sleep(0.002)
        assert loader.calls == 1


class TestSync:
    """The sync front: the same API over one background loop."""

    @pytest.fixture
    def cache(self, url: str, namespace: str) -> Iterator[Cache]:
        cache = Cache(url, namespace=namespace, timeout=1.0)
        try:
            yield cache
        finally:
            cache.close()

    def test_it_has_the_methods_of_the_service(self, cache: Cache) -> None:
        calls: list[int] = []

        def load() -> dict[str, int]:
            calls.append(threading.get_ident())
            return {"id": 7}

        for _ in range(3):
            assert cache.get_or_set(ROW(7), load, type=dict[str, int]) == {"id": 7}
        assert calls == [threading.get_ident()], "the loader runs in the thread of its caller"
        assert cache.get(ROW(7)) == {"id": 7}
        assert cache.get_or_set_bytes(ROW(7), load) == b'{"id":7}'
        cache.invalidate_tag("programs-rows")
        assert cache.get(ROW(7), "absent") == "absent"
        assert cache.set_many({"a": 1, "b": 2}) == 2
        assert cache.get_many(["a", "b", "c"], load=lambda keys: dict.fromkeys(keys, 3)) == {"a": 1, "b": 2, "c": 3}
        assert cache.get_or_set("a", lambda: 9, force=True) == cache.get("a") == 9
        assert cache.delete("a") == 1
        assert cache.invalidate_pattern("*") >= 2
        assert cache.stats().connected
        with pytest.raises(ZeroDivisionError):
            cache.get_or_set("error", lambda: 1 // 0)

    def test_threads_share_one_load(self, cache: Cache) -> None:
        calls: list[int] = []
        together = threading.Barrier(8)

        def load() -> str:
            calls.append(1)
            time.sleep(0.2)
            return "value"

        def call() -> None:
            together.wait()
            results.append(cache.get_or_set("k", load))

        results: list[str] = []
        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (results, len(calls)) == (["value"] * 8, 1)

    def test_a_decorated_function_runs_once_per_key(self, cache: Cache) -> None:
        calls: list[int] = []

        @cache.cached(ROW, ignore=("session",))
        def row(session: object, id: int) -> dict[str, int]:
            calls.append(id)
            return {"id": id}

        assert [row(object(), 1), row(object(), id=1), row(object(), 2)] == [{"id": 1}, {"id": 1}, {"id": 2}]
        assert calls == [1, 2]

    def test_a_forked_child_has_a_connection_of_its_own(self, valkey: Valkey, namespace: str) -> None:
        """In a process of its own: this one has threads that a fork would not like."""
        program = f"""
import os
from easymo.cache.sync import Cache
cache = Cache({valkey.url!r}, namespace={namespace!r}, timeout=1.0)
cache.set("k", "parent")
for _ in range(2):
    if (child := os.fork()) == 0:
        try:
            assert cache.get("k") == "parent"
            cache.set("k", "child")
            assert cache.get("k") == "child"
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert cache.get("fence") is None
    assert cache.get("k") == "child"
    cache.set("k", "parent")
print("done")
"""
        import subprocess

        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60
        )
        assert done.stdout == "done\n", done.stderr


class TestClocks:
    """Tests of programs let time pass."""

    async def test_the_fixture_moves_the_clock(self, easymo_cache: TestCache) -> None:
        loader = Loader()
        async with easymo_cache:
            for seconds, calls in ((0, 1), (59, 1), (2, 2), (200, 3)):
                easymo_cache.pass_time(seconds)
                await easymo_cache.get_or_set(Strategy("clock", key="clock", ttl=60)(), loader)
                assert loader.calls == calls

    async def test_freezegun_and_time_machine_move_it_too(self) -> None:
        async with CacheService("memory://") as cache:
            with time_machine.travel(1_900_000_000, tick=False) as traveller:
                await cache.set("k", 1, ttl=60)
                traveller.shift(59)
                assert await cache.get("k") == 1
                traveller.shift(2)
                assert await cache.get("k") is None
            with freezegun.freeze_time("2030-01-01", real_asyncio=True) as frozen:
                await cache.set("k", 1, ttl=60)
                frozen.tick(59)
                assert await cache.get("k") == 1
                frozen.tick(2)
                assert await cache.get("k") is None


class TestCached:
    """`@cached` refuses what would mix up values."""

    async def test_it_is_a_coroutine_function_with_key_invalidate_and_refresh(self) -> None:
        calls: list[int] = []
        async with CacheService("memory://") as cache:

            @cached(ROW, cache)
            async def row(id: int) -> int:
                calls.append(id)
                return len(calls)

            assert asyncio.iscoroutinefunction(row)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(row(7))
            assert task.result() == await row(id=7) == 1
            assert row.key(7) == ROW(7)
            assert await row.refresh(7) == await row(7) == 2
            assert await row.invalidate(7) == 1
            assert await row(7) == 3

    def test_arguments_that_are_not_in_the_key_are_refused(self) -> None:
        async def limited(id: int, limit: int) -> None: ...
        async def method(self: object, id: int) -> None: ...
        async def anything(id: int, **options: object) -> None: ...
        async def many(id: int, *more: object) -> None: ...

        for function in (limited, method, anything, many):
            with pytest.raises(TypeError, match="would share a value"):
                cached(ROW, CacheService("memory://"))(function)

    def test_what_is_no_async_function_is_refused(self) -> None:
        def sync(id: int) -> None: ...
        def generator(id: int) -> Iterator[int]:
            yield 1

        async def stream(id: int) -> Any:
            yield 1

        for function in (sync, generator, stream, print, lambda id: id):
            with pytest.raises(TypeError, match="async def"):
                cached(ROW, CacheService("memory://"))(function)  # type: ignore[arg-type]

    async def test_an_annotation_that_cannot_be_read_is_a_sentence(self) -> None:
        async with CacheService("memory://") as cache:

            @cached(ROW, cache)
            async def row(id: "Unknown") -> int:  # type: ignore[name-defined] # noqa: F821
                return 1

            @cached(ROW, cache)
            async def unread(id: int) -> "Unknown":  # type: ignore[name-defined] # noqa: F821
                return 1

            assert await row(1) == 1
            with pytest.raises(TypeError, match="TYPE_CHECKING"):
                await unread(2)


async def test_opentelemetry_sees_reads_and_a_span_per_load() -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from easymo.cache.opentelemetry import instrument

    reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
    meters, tracers = MeterProvider([reader]), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    async with CacheService("memory://") as cache:
        instrument(cache, meter_provider=meters, tracer_provider=tracers)
        for _ in range(3):
            await cache.get_or_set(ROW(1), Loader())
        data = reader.get_metrics_data()
        assert data is not None
        metrics: dict[str, Any] = {m.name: m for m in data.resource_metrics[0].scope_metrics[0].metrics}
        reads: dict[Any, Any] = {
            (point.attributes or {})["outcome"]: point.value
            for point in metrics["easymo.cache.reads"].data.data_points
            if (point.attributes or {})["strategy"] == ROW.name
        }
        assert (reads["miss"], reads["redis_hit"] + reads["near_hit"]) == (1, 2)
    assert [span.name for span in spans.get_finished_spans()] == ["easymo.cache.load"]
    meters.shutdown()
    tracers.shutdown()


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("fastapi", "starlette"),
        ("litestar", "litestar"),
        ("prometheus", "prometheus_client"),
        ("django", "django"),
        ("opentelemetry", "opentelemetry"),
    ],
)
def test_a_missing_package_is_a_sentence(module: str, package: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; import easymo.cache.{module}"
    failed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert f"easymo.cache.{module} needs" in failed.stderr
    assert "pip install" in failed.stderr
