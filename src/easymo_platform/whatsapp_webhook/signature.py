"""Meta's signature: ``X-Hub-Signature-256`` over the raw bytes."""

import hmac

HEADER = "x-hub-signature-256"


def sign(secret: str, body: bytes) -> str:
    """The header's value for ``body``: ``sha256=`` and the HMAC-SHA256 in hexadecimal."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def is_signed(secret: str, body: bytes, given: str) -> bool:
    """Whether ``given`` is the signature of ``body``. Takes the same time for every wrong one."""
    return hmac.compare_digest(sign(secret, body).encode(), given.encode())
