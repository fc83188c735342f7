"""The application of whatsapp-webhook, wired together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from litestar import Litestar

from easymo_platform.runtime.app import Runtime, create_app
from easymo_platform.runtime.settings import read_settings
from easymo_platform.whatsapp_webhook.api import ROUTES
from easymo_platform.whatsapp_webhook.handoffs import HandoffStore
from easymo_platform.whatsapp_webhook.ingest import Ingest
from easymo_platform.whatsapp_webhook.pages import MessagePages
from easymo_platform.whatsapp_webhook.service import WhatsAppWebhook
from easymo_platform.whatsapp_webhook.settings import WhatsAppSettings
from easymo_platform.whatsapp_webhook.store import MessageStore
from easymo_platform.whatsapp_webhook.watch import QueueWatch

QUERIES = Path(__file__).with_name("queries.sql")


def create(environ: Mapping[str, str]) -> Litestar:
    """The service as the environment describes it. Raises :class:`SettingsError` when that cannot work."""
    settings = read_settings(WhatsAppSettings, environ)
    runtime = Runtime.of("whatsapp-webhook", settings, QUERIES)
    metrics = runtime.metrics
    messages = metrics.counter("whatsapp_messages_total", "Messages that came to a status.", "direction", "status")
    duplicates = metrics.counter("webhook_duplicates_total", "Messages and statuses that were delivered again.")
    events = metrics.counter(
        "webhook_events_total", "Events that are no messages or statuses, those to act on by kind.", "kind"
    )
    ingest = Ingest(runtime.database, duplicates, messages, events)
    ack = metrics.histogram("webhook_ack_seconds", "From the request to its answer, when everything is stored.")
    store = MessageStore(runtime.database, messages)
    service = WhatsAppWebhook(
        settings,
        ingest,
        store,
        HandoffStore(runtime.database, store, settings.whatsapp_number, settings.whatsapp_phone_number_id),
        MessagePages(runtime.database),
        runtime.cache,
        ack.labels(runtime.service),
    )
    watch = QueueWatch(store, metrics)

    @asynccontextmanager
    async def background() -> AsyncIterator[None]:
        async with ingest.running(), watch.running():
            yield

    return create_app(runtime, ROUTES, service, background)
