"""The note's load test for as long as a drill takes: stretches of open-model load in processes of their own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from drills.fleet import KEY, SECRET
from easymo.load import Job, LoadResult, Stage, run_process
from easymo.load.distribution import Distribution, add

SCENARIO = Path(__file__).parents[1] / "tests/load/services.py"
VOICE_BRIDGE = Path(__file__).with_name("voice_bridge.py")


class Traffic:
    """Load at a constant rate. A new stretch starts every ``stretch_s``, so that there is always one under way."""

    def __init__(
        self,
        scenario: Path,
        urls: Mapping[str, str],
        rate_rps: float,
        *,
        environment: Mapping[str, str],
        seed: int = 1,
        stretch_s: float = 5.0,
        timeout_s: float = 10.0,
    ) -> None:
        self._scenario = scenario
        self._urls = dict(urls)
        self._rate_rps = rate_rps
        self._environment = dict(environment)
        self._seed = seed
        self._stretch_s = stretch_s
        self._timeout_s = timeout_s
        self._stop = asyncio.Event()
        self._stretches: list[asyncio.Task[LoadResult]] = []
        self.results: list[LoadResult] = []

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Load during the block and until the stretch that is under way at its end is over."""
        pacer = asyncio.create_task(self._pace())
        try:
            yield
        finally:
            self._stop.set()
            await pacer
            self.results = await asyncio.gather(*self._stretches)

    async def _pace(self) -> None:
        while not self._stop.is_set():
            job = Job(
                scenario=str(self._scenario),
                urls=self._urls,
                stages=[Stage(self._rate_rps, self._stretch_s)],
                seed=self._seed + len(self._stretches),
                salt=f"stretch {len(self._stretches)}",
                timeout_s=self._timeout_s,
            )
            self._stretches.append(asyncio.create_task(asyncio.to_thread(run_process, job, 1, self._environment)))
            try:
                async with asyncio.timeout(self._stretch_s):
                    await self._stop.wait()
            except TimeoutError:
                continue

    @property
    def requests(self) -> int:
        """All requests that were sent."""
        return sum(result.requests for result in self.results)

    @property
    def errors(self) -> dict[str, int]:
        """What failed, in the words of `LoadResult.errors`."""
        return dict(sum((Counter(result.errors) for result in self.results), Counter()))

    @property
    def latency_ms(self) -> Distribution | None:
        """Of all answers, from the intended time of their requests."""
        return add(result.latency_ms for result in self.results)


def scenario_environment(scale: str) -> dict[str, str]:
    """What the load test reads."""
    return {"EASYMO_SCALE": scale, "SERVICE_JWT_KEYS": KEY, "WHATSAPP_APP_SECRET": SECRET}
