"""The parts of whatsapp-webhook that its routes use."""

from dataclasses import dataclass

from prometheus_client import Histogram

from easymo.cache import CacheService
from easymo_platform.whatsapp_webhook.handoffs import HandoffStore
from easymo_platform.whatsapp_webhook.ingest import Ingest
from easymo_platform.whatsapp_webhook.pages import MessagePages
from easymo_platform.whatsapp_webhook.settings import WhatsAppSettings
from easymo_platform.whatsapp_webhook.store import MessageStore


@dataclass(frozen=True)
class WhatsAppWebhook:
    """One per process."""

    settings: WhatsAppSettings
    ingest: Ingest
    store: MessageStore
    handoffs: HandoffStore
    pages: MessagePages
    cache: CacheService
    ack_seconds: Histogram
