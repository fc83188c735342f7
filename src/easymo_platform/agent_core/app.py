"""The application of agent-core, wired together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from litestar import Litestar

from easymo_platform.agent_core.api import SESSION_ROUTES
from easymo_platform.agent_core.llm import LanguageModel
from easymo_platform.agent_core.service import AgentCore
from easymo_platform.agent_core.settings import AgentSettings
from easymo_platform.agent_core.store import SessionStore
from easymo_platform.agent_core.tools import Tools
from easymo_platform.agent_core.tools_api import TOOL_ROUTES
from easymo_platform.agent_core.worker import Sweeper
from easymo_platform.runtime.app import Runtime, create_app
from easymo_platform.runtime.client import Peer
from easymo_platform.runtime.settings import read_settings

QUERIES = Path(__file__).with_name("queries.sql")


def create(environ: Mapping[str, str]) -> Litestar:
    """The service as the environment describes it. Raises :class:`SettingsError` when that cannot work."""
    settings = read_settings(AgentSettings, environ)
    runtime = Runtime.of("agent-core", settings, QUERIES)
    metrics = runtime.metrics
    store = SessionStore(runtime.database, runtime.cache)
    voice_bridge = Peer("voice-bridge", settings.voice_bridge_url, runtime.tokens, metrics)
    model = LanguageModel(settings, metrics) if settings.agent_provider == "openai" else None
    service = AgentCore(
        settings,
        store,
        Tools(runtime.database, voice_bridge),
        model,
        metrics.counter("agent_responses_total", "Replies, by who gave them.", "provider", "outcome"),
        metrics.histogram("agent_response_seconds", "Time to find a reply.", "provider"),
    )

    @asynccontextmanager
    async def background() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(voice_bridge)
            if model is not None:
                await stack.enter_async_context(model.http)
            await stack.enter_async_context(Sweeper(store, settings.agent_sweep_interval_s).running())
            yield

    return create_app(runtime, [*SESSION_ROUTES, *TOOL_ROUTES], service, background)
