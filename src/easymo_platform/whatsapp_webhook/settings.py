"""Settings of whatsapp-webhook: the same for the API and for its workers."""

from typing import Literal

from easymo_platform.runtime.settings import Settings, SettingsError


class WhatsAppSettings(Settings, frozen=True, kw_only=True):
    """Beside what every service reads: Meta's secrets, who answers, who sends, and when work is taken over."""

    whatsapp_app_secret: str
    """Meta signs every webhook with it. There is no way to run without."""
    whatsapp_verify_token: str
    """What Meta repeats when the webhook is registered."""
    whatsapp_provider: Literal["simulated", "cloud"] = "simulated"
    whatsapp_api_url: str = "https://graph.facebook.com/v23.0"
    whatsapp_access_token: str = ""
    whatsapp_phone_number_id: str = "104857600000999"
    """Our number, as the Cloud API names it: the sender of messages that are no replies."""
    whatsapp_number: str = "+250700000999"
    whatsapp_webhook_url: str = "http://127.0.0.1:4900"
    """Where the simulated provider posts its callbacks: ourselves."""
    whatsapp_simulated_delay_s: float = 0.2
    """Between two statuses of a simulated message."""
    agent_core_url: str = "http://127.0.0.1:4000"
    whatsapp_lease_s: float = 60.0
    """How long a worker may be silent before its message goes to another."""
    whatsapp_unknown_s: float = 600.0
    """How long nothing must be heard of a message whose sending broke off before it is sent again."""
    whatsapp_at_once: int = 16
    """Messages that one worker handles at the same time."""
    whatsapp_sends_per_s: float = 80.0
    """The provider's limit for one of our numbers, shared out over the workers."""
    whatsapp_answers_per_minute: int = 60
    """Messages of one phone number that are handled in a minute; the others wait."""

    def __post_init__(self) -> None:
        super().__post_init__()
        problems = [
            f"{name.upper()} must be greater than 0."
            for name in ("whatsapp_lease_s", "whatsapp_unknown_s", "whatsapp_at_once", "whatsapp_sends_per_s")
            if not getattr(self, name) > 0
        ]
        if self.whatsapp_provider == "cloud" and not self.whatsapp_access_token:
            problems.append("WHATSAPP_ACCESS_TOKEN is not set: the Cloud API would refuse every message.")
        if problems:
            raise SettingsError(problems)
