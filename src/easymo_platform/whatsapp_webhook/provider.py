"""Who sends our messages: Meta's Cloud API, or a simulation that says so."""

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol

import httpx
import msgspec

from easymo_platform.runtime.logs import tracing_headers
from easymo_platform.whatsapp_webhook.model import Work
from easymo_platform.whatsapp_webhook.settings import WhatsAppSettings

SIMULATED_WAMID = "wamid.SIM"
OUTSIDE_WINDOW = 131047
OPTED_OUT = 131050
"""Meta's own codes for what we refuse ourselves."""

# Error codes of the Cloud API that mean "later", and how long to wait (developers.facebook.com: error codes).
_LATER_S = {4: 60.0, 80007: 60.0, 130429: 5.0, 131016: 30.0, 131048: 60.0, 131056: 6.0, 190: 60.0}
_TIMEOUT_S = 15.0


class Refused(Exception):
    """The provider did not take the message, for sure. ``retry_after_s`` is ``None`` when it never will."""

    def __init__(self, code: int, title: str, retry_after_s: float | None) -> None:
        super().__init__(f"The provider refused the message: {title} ({code}).")
        self.code = code
        self.title = title
        self.retry_after_s = retry_after_s


class OutcomeUnknown(Exception):
    """The request broke off after it was sent: the message may have gone out."""


class Provider(Protocol):
    """Both raise `Refused` or `OutcomeUnknown`."""

    async def send(self, message: Work) -> str:
        """Send one message; returns its wamid."""

    async def mark_read(self, message: Work) -> None:
        """Show the sender of `message` that it was read."""

    def opened(self) -> AbstractAsyncContextManager[Any]: ...


class SimulatedProvider:
    """Sends nothing to anybody: the message is accepted under an id that says so."""

    async def send(self, message: Work) -> str:
        return f"{SIMULATED_WAMID}{message.id.hex}"

    async def mark_read(self, message: Work) -> None:
        """Nobody sees it."""

    def opened(self) -> AbstractAsyncContextManager[Any]:
        return nullcontext()


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Sent(msgspec.Struct):
    id: str = ""


class _Answer(msgspec.Struct):
    messages: list[_Sent] = []
    error: _Error = msgspec.field(default_factory=_Error)


class CloudProvider:
    """Meta's Cloud API. It knows no idempotency key; our own id goes along and comes back in every status callback."""

    def __init__(self, settings: WhatsAppSettings) -> None:
        headers = {"authorization": f"Bearer {settings.whatsapp_access_token}", "content-type": "application/json"}
        self._http = httpx.AsyncClient(headers=headers, timeout=_TIMEOUT_S)
        self._url = settings.whatsapp_api_url.rstrip("/")
        self._phone_number_id = settings.whatsapp_phone_number_id

    def opened(self) -> AbstractAsyncContextManager[Any]:
        return self._http

    async def send(self, message: Work) -> str:
        return _wamid(await self._post(message, _request(message)))

    async def mark_read(self, message: Work) -> None:
        body = {"messaging_product": "whatsapp", "status": "read", "message_id": message.wamid}
        response = await self._post(message, body)
        if not response.is_success:
            raise Refused(0, f"HTTP {response.status_code}", None)

    async def _post(self, message: Work, body: dict[str, Any]) -> httpx.Response:
        url = f"{self._url}/{message.phone_number_id or self._phone_number_id}/messages"
        try:
            response = await self._http.post(url, content=msgspec.json.encode(body), headers=tracing_headers())
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Refused(0, f"the Cloud API cannot be reached ({error})", 1.0) from error
        except httpx.TransportError as error:
            raise OutcomeUnknown(f"The Cloud API did not answer: {type(error).__name__} {error}") from error
        if response.status_code >= 500:
            raise OutcomeUnknown(f"The Cloud API answered {response.status_code}")
        return response


def _wamid(response: httpx.Response) -> str:
    try:
        answer = msgspec.json.decode(response.content, type=_Answer)
    except msgspec.DecodeError:
        answer = _Answer()
    if response.is_success:
        if not answer.messages or not answer.messages[0].id:
            raise OutcomeUnknown("The Cloud API gave the message no id")
        return answer.messages[0].id
    refusal = answer.error
    later = _LATER_S.get(refusal.code, 60.0 if response.status_code in (401, 403, 429) else None)
    raise Refused(refusal.code, refusal.message or f"HTTP {response.status_code}", later)


def _request(message: Work) -> dict[str, Any]:
    """Source: the Cloud API's reference of `/{phone-number-id}/messages`."""
    template = message.payload.get("template")
    content: Any
    if message.message_type == "template" and template:
        content = {"name": template["name"], "language": {"code": template["language"]}}
        if template.get("components"):
            content["components"] = template["components"]
    elif message.message_type == "interactive":
        content = message.payload["interactive"]
    else:
        content = {"body": message.body or ""}
    to = message.to_number
    return {
        "messaging_product": "whatsapp",
        **({"to": to.removeprefix("+")} if to.startswith("+") else {"recipient": to}),
        "type": message.message_type,
        message.message_type: content,
        "biz_opaque_callback_data": str(message.id),
    }


def provider_for(settings: WhatsAppSettings) -> Provider:
    """The provider that WHATSAPP_PROVIDER names."""
    return CloudProvider(settings) if settings.whatsapp_provider == "cloud" else SimulatedProvider()
