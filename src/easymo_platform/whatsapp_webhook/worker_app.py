"""The worker as a process of its own: it answers and sends, and serves nothing but health and metrics."""

from collections.abc import Mapping

from litestar import Litestar

from easymo_platform.runtime.app import Runtime, create_app
from easymo_platform.runtime.settings import read_settings
from easymo_platform.whatsapp_webhook.app import QUERIES
from easymo_platform.whatsapp_webhook.settings import WhatsAppSettings
from easymo_platform.whatsapp_webhook.store import MessageStore
from easymo_platform.whatsapp_webhook.worker import Worker


def create(environ: Mapping[str, str]) -> Litestar:
    """The worker as the environment describes it. Raises :class:`SettingsError` when that cannot work."""
    settings = read_settings(WhatsAppSettings, environ)
    runtime = Runtime.of("whatsapp-worker", settings, QUERIES)
    metrics = runtime.metrics
    messages = metrics.counter("whatsapp_messages_total", "Messages that came to a status.", "direction", "status")
    worker = Worker(runtime, settings, MessageStore(runtime.database, messages))
    return create_app(runtime, (), worker, worker.running)
