"""Addresses of servers, which may hold a password: read without ever repeating it."""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

POSTGRES = ("postgresql", "postgres")
REDIS = ("redis", "rediss", "unix")

_PASSWORD = re.compile(r"(://[^\s:/?#@]*):[^\s/?#]*@")


def address_problem(variable: str, address: str, schemes: Collection[str]) -> str | None:
    """What is wrong with the address in ``variable``, in a sentence without any of it; ``None`` when nothing is."""
    if address.partition("://")[0] not in schemes:
        return f"{variable} must start with {' or '.join(f'{scheme}://' for scheme in schemes)}."
    try:
        _ = urlsplit(address).port
    except ValueError:
        return (
            f"{variable} cannot be read: its host or its port is malformed. In a password, characters such as / @ : # "
            "are written as %2F %40 %3A %23."
        )
    return None


def without_password(text: str) -> str:
    """``text`` with the password of every address in it cut out: ``postgresql://user:…@host/db``."""
    return _PASSWORD.sub(r"\1:…@", text) if "://" in text else text
