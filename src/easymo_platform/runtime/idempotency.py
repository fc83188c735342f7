"""Ids made of idempotency keys: the same key of the same caller for the same operation gives the same id."""

from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from easymo_platform.runtime.auth import caller_of
from easymo_platform.runtime.identity import uuid7
from easymo_platform.runtime.routes import AnyRequest


def id_for(request: AnyRequest, operation: str, idempotency_key: str | None) -> UUID:
    """The id of what this request makes: a new one without a key."""
    return uuid7() if idempotency_key is None else id_of(operation, caller_of(request), idempotency_key)


def id_of(operation: str, caller: str, idempotency_key: str) -> UUID:
    """UUID version 5 (RFC 9562 §6.6) of a JSON list of the parts; joined texts of two callers could be equal.

    A client that chose the key can compute it, and so ask for what it made even if the answer never came.
    """
    return uuid5(NAMESPACE_URL, msgspec.json.encode(["easymo", operation, caller, idempotency_key]).decode())
