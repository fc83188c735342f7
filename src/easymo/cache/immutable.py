"""Which decoded values many callers may share: those that none of them can change."""

import enum
import types
from collections.abc import Hashable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

_ATOMS: Final = (bool, int, float, str, bytes, type(None), datetime, date, time, timedelta, Decimal, UUID)


@lru_cache(maxsize=1024)
def is_immutable_type(kind: Hashable) -> bool:
    """Whether every value of a type is immutable, its parts included: many callers may share one.

    A recursive type counts as mutable, and so does `Any`: lists and dicts are decoded per caller.
    """
    origin = get_origin(kind)
    if origin is Literal:
        return True
    if origin is Annotated:
        return is_immutable_type(get_args(kind)[0])
    if origin in (Union, types.UnionType, tuple, frozenset):
        return all(is_immutable_type(part) for part in get_args(kind) if part is not Ellipsis)
    if not isinstance(kind, type):
        return False
    if kind in _ATOMS or issubclass(kind, enum.Enum):
        return True
    if issubclass(kind, msgspec.Struct) and kind.__struct_config__.frozen:
        try:
            hints = get_type_hints(kind, include_extras=True)
            return all(is_immutable_type(hints[name]) for name in kind.__struct_fields__)
        except (NameError, RecursionError):
            return False
    return False


def is_atom(value: Any) -> bool:
    """Whether a value decoded without a type can be handed to several callers: one number, text, boolean or None."""
    return value.__class__ in _ATOMS
