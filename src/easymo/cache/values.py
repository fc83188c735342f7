"""What a value becomes in the cache: JSON, and back the type that the caller names.

Every answer of the cache has made this round trip, also the first one and with the cache switched off, so a value looks
the same wherever it comes from.
"""

import sys
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PurePath
from typing import Any, Final, get_args

import msgspec

from easymo.cache.errors import UnstorableValue
from easymo.cache.immutable import is_atom, is_immutable_type

Encode = Callable[[Any], Any]
"""Gives what stands for an object in JSON: anything that can be stored already."""

_BY_TEXT: Final = (PurePath, IPv4Address, IPv6Address, IPv4Network, IPv6Network, IPv4Interface, IPv6Interface)


class Values:
    """Encodes and decodes. `encoders` maps a class to its `Encode`, or to a pair of it and the way back."""

    def __init__(self, encoders: Mapping[type, Encode | tuple[Encode, Encode]]) -> None:
        pairs = {kind: given if isinstance(given, tuple) else (given, None) for kind, given in encoders.items()}
        self._encoders = {kind: encode for kind, (encode, _) in pairs.items()}
        self._decoders = {kind: decode for kind, (_, decode) in pairs.items() if decode is not None}
        self._encode = msgspec.json.Encoder(enc_hook=self._to_json).encode
        self._forms: dict[Any, tuple[Callable[[bytes], Any], bool]] = {}

    def encode(self, key: str, value: Any) -> bytes:
        """The JSON of a value. Raises UnstorableValue."""
        try:
            return self._encode(value)
        except Exception as error:  # an encoder of the program may raise anything
            raise UnstorableValue(key, str(error)) from error

    def decode(self, payload: bytes, type_: Any) -> tuple[Any, bool]:
        """The value as `type_`, and whether many callers may share it. Raises msgspec.DecodeError."""
        form = self._forms.get(type_)
        if form is None:
            form = self._forms[type_] = self._decoder(type_), is_immutable_type(type_)
        value = form[0](payload)
        return value, form[1] or (type_ is Any and is_atom(value))

    def _decoder(self, type_: Any) -> Callable[[bytes], Any]:
        if not _is_of_pydantic(type_):
            return msgspec.json.Decoder(type_, dec_hook=self._from_json).decode
        adapter = _adapter(type_)

        def decode(payload: bytes) -> Any:
            try:
                return adapter.validate_json(payload)
            except ValueError as error:
                raise msgspec.ValidationError(str(error)) from error

        return decode

    def _to_json(self, value: Any) -> Any:
        kind = type(value)
        for base in kind.__mro__:
            if base in self._encoders:
                return self._encoders[base](value)
        if hasattr(kind, "__pydantic_serializer__"):
            return msgspec.Raw(kind.__pydantic_serializer__.to_json(value, by_alias=True))
        if isinstance(value, _BY_TEXT):
            return str(value)
        if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
            return value.item()
        raise TypeError(
            f"{kind.__module__}.{kind.__qualname__} has no JSON form (pass one: "
            f"CacheService(…, encoders={{{kind.__qualname__}: …}}))"
        )

    def _from_json(self, kind: type, value: Any) -> Any:
        for base in kind.__mro__:
            if base in self._decoders:
                return self._decoders[base](value)
        if _is_of_pydantic(kind):
            return _adapter(kind).validate_json(msgspec.json.encode(value))
        if issubclass(kind, _BY_TEXT) or kind.__module__ == "numpy":
            return kind(value)
        raise TypeError(f"{kind.__qualname__} has no way back from JSON; give its encoder as a pair (to, from)")


def _is_of_pydantic(type_: Any) -> bool:
    return (isinstance(type_, type) and hasattr(type_, "__pydantic_validator__")) or any(
        map(_is_of_pydantic, get_args(type_))
    )


def _adapter(type_: Any) -> Any:
    return sys.modules["pydantic"].TypeAdapter(type_)
