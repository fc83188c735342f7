"""`python -m easymo_platform flush-cache`: drops what the platform has cached, and nothing else of the server."""

import argparse
import asyncio
import os
import sys

from easymo.cache import CacheService, Strategy
from easymo.cache.errors import CacheError
from easymo.cache.inspection import count_matching
from easymo_platform.agent_core.strategies import AgentStrategies
from easymo_platform.operations.errors import OperationError
from easymo_platform.runtime.strategies import RuntimeStrategies
from easymo_platform.video_orchestrator.strategies import VideoStrategies
from easymo_platform.voice_bridge.strategies import VoiceStrategies
from easymo_platform.whatsapp_webhook.strategies import WhatsAppStrategies

_NAMESPACE = "easymo"
_TIMEOUT_S = 5.0


def patterns() -> list[str]:
    """The keys of every strategy. The counters of the rate limits are not among them."""
    classes = (RuntimeStrategies, VoiceStrategies, VideoStrategies, WhatsAppStrategies, AgentStrategies)
    found = {value for kind in classes for value in vars(kind).values() if isinstance(value, Strategy)}
    return sorted(strategy.pattern() for strategy in found)


def flush(redis_url: str) -> int:
    """Drop it in Redis and, by the invalidations, in the memory of every process. Returns the number of keys.

    Raises OperationError when the server did not confirm everything.
    """

    async def drop() -> int:
        async with CacheService(redis_url, namespace=_NAMESPACE, near_bytes=0, timeout=_TIMEOUT_S) as cache:
            deleted = 0
            for pattern in patterns():
                deleted += await cache.invalidate_pattern(pattern)
            waiting = cache.local_stats().deletions_waiting
        if waiting:
            raise OperationError(
                f"Redis did not confirm {waiting} of the deletions, so stale values may be left: try again."
            )
        return deleted

    return asyncio.run(drop())


def main(arguments: list[str]) -> int:
    """Parse and count, or drop. Returns 0, or 1 when Redis does not answer."""
    parser = argparse.ArgumentParser(
        prog="python -m easymo_platform flush-cache",
        description="Count what the platform has cached in Redis (REDIS_URL), and drop it with --yes.",
        epilog="Example: python -m easymo_platform flush-cache --yes",
    )
    parser.add_argument("--yes", action="store_true", help="drop it; without it only the count is shown")
    options = parser.parse_args(arguments)
    url = os.environ.get("REDIS_URL")
    if not url:
        parser.error("no server: set REDIS_URL")
    try:
        if options.yes:
            sys.stdout.write(f"{flush(url)} keys dropped\n")
        else:
            count = sum(count_matching(url, _NAMESPACE, pattern) for pattern in patterns())
            sys.stdout.write(f"{count} keys would be dropped. Add --yes to do it.\n")
    except (OperationError, CacheError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
