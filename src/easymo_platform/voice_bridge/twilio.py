"""Twilio's callbacks: where their fields are, and their signature."""

import hmac
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from easymo_platform.runtime.errors import ServiceError


def signature(auth_token: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    """``X-Twilio-Signature`` of a form posted to ``url``: the fields sorted, each one's name and value joined.

    Source: twilio.com/docs/usage/webhooks/webhooks-security.
    """
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    return b64encode(hmac.digest(auth_token.encode(), signed.encode(), "sha1")).decode()


def is_signed(auth_token: str, url: str, form: Iterable[tuple[str, str]], given: str) -> bool:
    """Whether ``given`` is the signature; never true without a token. Takes the same time for every wrong one."""
    return bool(auth_token) and hmac.compare_digest(signature(auth_token, url, form).encode(), given.encode())


def read_callback(body: bytes, query: str) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """The fields that the signature covers beside the address, and the fields of the callback.

    Twilio sends a form, on request a query, and some products JSON whose hash stands in the address (`bodySHA256`).
    Raises the 400 for a body that is none of these, the 403 for one that has another hash.
    """
    asked = _pairs(query)
    digest = dict(asked).get("bodySHA256")
    if digest is None:
        form = _pairs(_utf8(body))
        return form, dict([*asked, *form])
    if not hmac.compare_digest(sha256(body).hexdigest(), digest.lower()):
        raise ServiceError(403, "bad_signature", "bodySHA256 is not the hash of this body.")
    try:
        fields = msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ServiceError(400, "invalid_payload", "The callback is no JSON object.") from error
    return [], {**dict(asked), **{name: value for name, value in fields.items() if isinstance(value, str)}}


def _utf8(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise ServiceError(400, "invalid_payload", "The callback is no form in UTF-8.") from error


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:
        raise ServiceError(400, "invalid_payload", "The callback is no form in UTF-8.") from error
