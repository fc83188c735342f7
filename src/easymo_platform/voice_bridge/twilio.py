"""Twilio's signature on its callbacks."""

import hmac
from base64 import b64encode
from collections.abc import Iterable


def signature(auth_token: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    """``X-Twilio-Signature`` of a form posted to ``url``: the fields sorted, each one's name and value joined.

    Source: twilio.com/docs/usage/webhooks/webhooks-security.
    """
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    return b64encode(hmac.digest(auth_token.encode(), signed.encode(), "sha1")).decode()


def is_signed(auth_token: str, url: str, form: Iterable[tuple[str, str]], given: str) -> bool:
    """Whether ``given`` is the signature; never true without a token. Takes the same time for every wrong one."""
    return bool(auth_token) and hmac.compare_digest(signature(auth_token, url, form).encode(), given.encode())
