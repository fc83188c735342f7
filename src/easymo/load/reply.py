"""What an answer says: the parts of it that a scenario checks, or captures for a later step of the same visitor."""

import gzip
import html
import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec


class Reply:
    """One answer, as a check or a capture sees it. `body` is decoded when it was gzip or deflate."""

    def __init__(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self._headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]
        self.body = _decoded(body, self.header("content-encoding"))

    def header(self, name: str) -> str | None:
        """The first header of this name, in any case."""
        return next((value for known, value in self._headers if known == name.lower()), None)

    def cookies(self) -> dict[str, str | None]:
        """The cookies that the answer sets; None for one that it deletes."""
        cookies: dict[str, str | None] = {}
        for known, text in self._headers:
            if known == "set-cookie":
                (name, _, value), *attributes = (part.strip().partition("=") for part in text.split(";"))
                gone = any(key.lower() == "max-age" and age.strip() in ("0", "-1") for key, _, age in attributes)
                cookies[name] = None if gone or not value else value
        return cookies

    def text(self) -> str:
        """The body as UTF-8 text."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON. Raises `ValueError` when it is none."""
        return msgspec.json.decode(self.body)


class Extract:
    """Takes a value out of a reply: a capture by itself, a check with `equals` or `matches`."""

    def __init__(self, what: str, take: Callable[[Reply], Any]) -> None:
        self.what = what
        self._take = take

    def __call__(self, reply: Reply) -> Any:
        """The value, None when the reply has none."""
        return self._take(reply)

    def equals(self, value: object) -> Callable[[Reply], str | None]:
        """A check: the value must be this one."""
        return self._check(f"not {value!r}", lambda found: bool(found == value))

    def matches(self, pattern: str) -> Callable[[Reply], str | None]:
        """A check: the regular expression must be found in the value."""
        compiled = re.compile(pattern)
        return self._check(f"does not match {pattern!r}", lambda found: bool(compiled.search(str(found))))

    def _check(self, otherwise: str, right: Callable[[Any], bool]) -> Callable[[Reply], str | None]:
        def check(reply: Reply) -> str | None:
            found = self._take(reply)
            if found is None:
                return f"no {self.what}"
            return None if right(found) else f"{self.what} {otherwise}"

        return check


def header(name: str) -> Extract:
    """The header of this name."""
    return Extract(f"header {name}", lambda reply: reply.header(name))


def cookie(name: str) -> Extract:
    """The cookie of this name that the reply sets."""
    return Extract(f"cookie {name}", lambda reply: reply.cookies().get(name))


def json_value(pointer: str) -> Extract:
    """The JSON value at a pointer (RFC 6901) such as `/items/0/id`; the empty one is the whole body."""
    path = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]

    def take(reply: Reply) -> Any:
        try:
            value = reply.json()
            for part in path:
                value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
        return value

    return Extract(f"JSON value at {pointer or 'the root'}", take)


def regex(pattern: str) -> Extract:
    """The first group of a regular expression in the body, or all that it found when it has no group."""
    compiled = re.compile(pattern)

    def take(reply: Reply) -> str | None:
        found = compiled.search(reply.text())
        return found and html.unescape(found[min(1, compiled.groups)])

    return Extract(f"text like {pattern!r}", take)


def form_field(name: str) -> Extract:
    """The value of an HTML form's `<input name=…>`, such as a CSRF token."""
    attribute = rf"""name=["']?{re.escape(name)}["'\s]"""
    tag = re.compile(rf"<input\b[^>]*\b{attribute}[^>]*>", re.IGNORECASE)
    value = re.compile(r"""\bvalue=(?:"([^"]*)"|'([^']*)'|([^\s>]+))""", re.IGNORECASE)

    def take(reply: Reply) -> str | None:
        field = tag.search(reply.text())
        found = field and value.search(field[0])
        return html.unescape(next(group for group in found.groups() if group is not None)) if found else None

    return Extract(f"form field {name}", take)


def _decoded(body: bytes, encoding: str | None) -> bytes:
    try:
        if encoding == "gzip":
            return gzip.decompress(body)
        return zlib.decompress(body) if encoding == "deflate" else body
    except (OSError, EOFError, zlib.error):
        return body  # a check will find nothing in it
