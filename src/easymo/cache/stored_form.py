"""The stored form of a value: a header of fixed size, its tags, then the JSON as it is.

Any program can read it; docs/reference/cache-stored-form.md describes it for writers in other languages, and golden
files under tests/cache keep it from changing unnoticed.

    bytes  0-1   b"em"
           2     form, 1
           3     kind: b"V" a value, b"Z" a value whose JSON is compressed (zlib), b"L" a lease (somebody is loading;
                 nothing follows byte 11)
           4-11  version: eight random bytes; a fill replaces only the version that it saw
          12-19  refresh_at   ms since 1970 by the clock of Redis, big-endian; from here one caller may load again
          20-27  fresh_until  the ttl ends here
          28-35  stale_until  the key expires here
          36-39  length of the tag block: a JSON object {tag: version of the tag when the load began}, or nothing
          40-    tag block, then the JSON of the value
"""

import os
import struct
import zlib
from typing import Final, NamedTuple

import msgspec

MAGIC: Final = b"em\x01"
VALUE: Final = MAGIC + b"V"
COMPRESSED: Final = MAGIC + b"Z"
LEASE: Final = MAGIC + b"L"
PREFIX_BYTES: Final = 12
"""A stored thing is told from any other by its first twelve bytes: magic, form, kind and version."""
_FAST: Final = 1
"""zlib's level: a value is compressed on the event loop."""

_HEADER = struct.Struct(">12sQQQL")
_TAGS = msgspec.json.Decoder(dict[str, str])
_NO_TAGS: Final[dict[str, str]] = {}
_VALUE_AT = _HEADER.size


class Stored(msgspec.Struct, frozen=True):
    """A value as Redis holds it. Times are milliseconds since 1970 by the clock of Redis."""

    prefix: bytes
    refresh_at_ms: int
    fresh_until_ms: int
    stale_until_ms: int
    tags: dict[str, str]
    payload: bytes


class Lease(NamedTuple):
    """A promise in the key's place: the holder of this token is loading the value."""

    prefix: bytes


class Foreign(NamedTuple):
    """Bytes that this package did not write, or that are damaged."""

    prefix: bytes


def new_lease() -> bytes:
    """A lease that nobody else has."""
    return LEASE + os.urandom(8)


def new_prefix(compressed: bool = False) -> bytes:
    """The first twelve bytes of a value that is about to be stored."""
    return (COMPRESSED if compressed else VALUE) + os.urandom(8)


def pack(stored: Stored) -> bytes:
    """The bytes of a stored value."""
    tags = msgspec.json.encode(stored.tags) if stored.tags else b""
    times_ms = stored.refresh_at_ms, stored.fresh_until_ms, stored.stale_until_ms
    payload = zlib.compress(stored.payload, _FAST) if stored.prefix.startswith(COMPRESSED) else stored.payload
    return _HEADER.pack(stored.prefix, *times_ms, len(tags)) + tags + payload


def unpack(raw: bytes) -> Stored | Lease | Foreign:
    """What the bytes of a key are."""
    compressed = raw.startswith(COMPRESSED)
    if (compressed or raw.startswith(VALUE)) and len(raw) >= _VALUE_AT:
        prefix, refresh_at_ms, fresh_until_ms, stale_until_ms, tag_bytes = _HEADER.unpack_from(raw)
        payload_at = _VALUE_AT + tag_bytes
        if payload_at < len(raw):
            try:
                tags = _TAGS.decode(raw[_VALUE_AT:payload_at]) if tag_bytes else _NO_TAGS
                payload = zlib.decompress(raw[payload_at:]) if compressed else raw[payload_at:]
            except (msgspec.MsgspecError, zlib.error):
                return Foreign(raw[:64])
            return Stored(prefix, refresh_at_ms, fresh_until_ms, stale_until_ms, tags, payload)
    if raw.startswith(LEASE) and len(raw) == PREFIX_BYTES:
        return Lease(raw)
    return Foreign(raw[:64])
