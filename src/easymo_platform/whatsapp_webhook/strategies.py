"""What whatsapp-webhook caches: messages that cannot change any more."""

from datetime import timedelta

from easymo.cache import Strategy


class WhatsAppStrategies:
    """The strategies of whatsapp-webhook."""

    whatsapp_message = Strategy(
        name="whatsapp_message",
        key="whatsapp_message:{message_id}",
        ttl=timedelta(hours=24),
        invalidated_by=("whatsapp_message.status_changed",),
    )
