"""The application of voice-bridge, wired together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from litestar import Litestar

from easymo_platform.runtime.app import Runtime, create_app
from easymo_platform.runtime.server import ServerWatch
from easymo_platform.runtime.settings import read_settings
from easymo_platform.voice_bridge.analytics import Analytics
from easymo_platform.voice_bridge.analytics_api import ANALYTICS_ROUTES
from easymo_platform.voice_bridge.api import CALL_ROUTES
from easymo_platform.voice_bridge.service import VoiceBridge
from easymo_platform.voice_bridge.settings import VoiceSettings
from easymo_platform.voice_bridge.store import CallStore
from easymo_platform.voice_bridge.worker import Sweeper

QUERIES = Path(__file__).with_name("queries.sql")


def create(environ: Mapping[str, str]) -> Litestar:
    """voice-bridge as the environment describes it.

    Raises:
        SettingsError: when a variable is missing or malformed.
    """
    settings = read_settings(VoiceSettings, environ)
    runtime = Runtime.of("voice-bridge", settings, QUERIES)
    moved = runtime.metrics.counter("voice_calls_total", "Calls that came to a status.", "status")
    store = CallStore(runtime.database, runtime.cache, moved)
    bridge = VoiceBridge(settings, store, Analytics(runtime.database), runtime.cache)
    live = runtime.metrics.gauge("voice_calls_live", "Calls pending, ringing or active, as of the last sweep.")
    sweeper = Sweeper(store, settings.voice_sweep_interval_s, live.labels(runtime.service))
    watch = ServerWatch(runtime.database, runtime.metrics)

    @asynccontextmanager
    async def background() -> AsyncIterator[None]:
        async with sweeper.running(), watch.running():
            yield

    return create_app(runtime, [*CALL_ROUTES, *ANALYTICS_ROUTES], bridge, background)
