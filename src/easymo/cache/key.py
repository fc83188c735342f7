"""Key templates: how arguments become a key, such that different arguments never share one."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum, Flag
from functools import lru_cache, singledispatch
from itertools import islice
from string import Formatter
from typing import Final, TypeVar
from uuid import UUID

from easymo.cache.errors import StrategyError

T = TypeVar("T")

_RESERVED = re.compile(r"[^\w.@+=-]")
_SEPARATOR = re.compile(r"[^\w.@+=%~-]")
_GLOB = re.compile(r"([*?\[\]\\^])")
MAX_READINGS: Final = 16
_CONSTANTS = {None: "~none", True: "~true", False: "~false"}


def register_key_field(kind: type[T], field: Callable[[T], object]) -> None:
    """Let values of `kind` (and its subclasses) be fields of keys; `field` gives what stands for one of them.

    `field` returns anything a key may hold already, for example `lambda user: user.id`.
    """
    _TEXTS.register(kind, lambda argument: text_of(field(argument)))


def text_of(argument: object) -> str:
    """The part of a key that stands for one argument.

    Texts, integers, UUIDs, enums, dates, datetimes, Decimals, bytes, None, booleans, tuples of these, and kinds given
    to `register_key_field`. Raises StrategyError for anything else: the text of most objects holds a memory address,
    and another object at that address would read this one's value.

    Arguments share a text only if their own texts are equal: 7 and "7" are one user, whether the id came from a row or
    from a path. Every character that could be a separator, a glob or a hash tag is percent-encoded; None, booleans,
    bytes and tuples get forms that no text can have.
    """
    # type(), not __class__: a Mock or a lazy proxy claims to be what it stands for, but its text is its own.
    return _TEXTS.dispatch(type(argument))(argument)


def encoded(text: str) -> str:
    """`text` as it stands in a key, as a field or between two separators."""
    return _RESERVED.sub(_percent_encoded, text)


def is_encoded(text: str) -> bool:
    """Whether a text has only characters that the keys and tags of strategies have between their literals."""
    return _RESERVED.search(text.replace(":", "").replace("%", "").replace("~", "")) is None


def _refuse(argument: object) -> str:
    kind = type(argument)
    raise StrategyError(
        f"A {kind.__module__}.{kind.__qualname__} cannot be a field of a cache key, because its text does not identify "
        "it: two of them could share a key, or one could never find its value again. Pass what identifies it (an id, a "
        "text, an int, a UUID, an Enum, a date, a Decimal, bytes, a tuple of these), or call register_key_field once."
    )


def _enum_text(member: Enum) -> str:
    name = member.value if isinstance(member, Flag) else member.name
    return encoded(f"{type(member).__qualname__}.{name}")


_TEXTS = singledispatch(_refuse)
_TEXTS.register(str, lambda text: encoded(str.__str__(text)))
_TEXTS.register(int, int.__repr__)
_TEXTS.register(bool, _CONSTANTS.__getitem__)
_TEXTS.register(type(None), _CONSTANTS.__getitem__)
_TEXTS.register(Enum, _enum_text)
_TEXTS.register(bytes, lambda content: f"~x{content.hex()}")
_TEXTS.register(tuple, lambda parts: f"~t{''.join([f'~i{text_of(part)}' for part in parts])}~e")
for _kind in (UUID, date, Decimal):
    _TEXTS.register(_kind, lambda argument: encoded(str(argument)))


def _percent_encoded(match: re.Match[str]) -> str:
    # Not urllib's quote, which leaves `~` as it is: "~none" and None would share a key.
    return "".join(f"%{byte:02X}" for byte in match.group().encode(errors="surrogatepass"))


def escape_glob(text: str) -> str:
    """`text` as a Redis pattern that matches `text` only."""
    return _GLOB.sub(r"\\\1", text)


class Template:
    """A compiled key template such as ``"user:{user_id}:calls:{day}"``.

    Raises StrategyError when two fields could run into each other.
    """

    __slots__ = ("fields", "format", "prefix", "suffix")

    def __init__(self, template: str) -> None:
        fields: list[str] = []
        literals: list[str] = []
        for literal, field, spec, conversion in Formatter().parse(template):
            literals.append(literal)
            if field is None:
                continue
            if not field.isidentifier() or spec or conversion:
                raise StrategyError(f"Key template {template!r}: a field is written {{name}} only, not {field!r}.")
            fields.append(field)
            if len(fields) > 1 and not _SEPARATOR.search(literal):
                raise StrategyError(
                    f"Key template {template!r}: nothing separates {fields[-2]!r} from {field!r}, "
                    "so two different calls could share a key. Put a ':' between them."
                )
        if len(set(fields)) != len(fields):
            raise StrategyError(f"Key template {template!r} names a field twice; once is enough.")
        if len(literals) == len(fields):
            literals.append("")
        self.fields = tuple(fields)
        self.prefix, self.suffix = literals[0], literals[-1]
        self.format = "%s".join(literal.replace("%", "%%") for literal in literals)

    def texts(self, arguments: tuple[object, ...], named: Mapping[str, object]) -> tuple[str, ...]:
        """The texts of the fields, in template order, from positional and named arguments."""
        names = self.fields[len(arguments) :]
        if len(arguments) > len(self.fields) or named.keys() != set(names):
            given = [*self.fields[: len(arguments)], *named]
            raise StrategyError(
                f"This strategy takes the fields {list(self.fields)}, but got {len(arguments)} by position "
                f"and {sorted(named)} by name (so: {given}). Pass each field once."
            )
        return tuple([text_of(argument) for argument in (*arguments, *[named[name] for name in names])])

    def render(self, texts: tuple[object, ...]) -> str:
        """The key for texts made by `texts`."""
        return self.format % texts

    def readings(self, text: str) -> list[str]:
        """The keys that a `text` put together by hand may mean, such as ``f"doc:{path}"``: one per way to read it."""
        literals = [literal.replace("%%", "%") for literal in self.format.split("%s")]
        splits = islice(_splits(text, literals), MAX_READINGS)
        return [self.format % tuple([encoded(field) for field in fields]) for fields in splits]


def _splits(text: str, literals: list[str]) -> Iterator[tuple[str, ...]]:
    """All ways in which `text` is the literals with something between them."""
    first, *rest = literals
    if not text.startswith(first):
        return
    text = text[len(first) :]
    if not rest:
        if not text:
            yield ()
        return
    ends = [len(text)] if rest == [""] else [match.start() for match in re.finditer(re.escape(rest[0]), text)]
    for end in ends:
        for others in _splits(text[end:], rest):
            yield (text[:end], *others)


def glob_regex(pattern: str) -> str:
    """A Redis glob as a regular expression: `*`, `?`, `[a-z]`, `[^a]`, a backslash before what stands for itself."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        token = _GLOB_TOKEN.match(pattern, at)
        assert token is not None  # its last alternative matches any character
        at = token.end()
        if token["members"] is not None:
            members = re.sub(
                r"\\?(.)(-(?=.))?", lambda m: re.escape(m[1]) + (m[2] or ""), token["members"], flags=re.DOTALL
            )
            parts.append(f"[{token['negated']}{members}]" if members else "." if token["negated"] else "(?!)")
        elif token["escaped"] is not None:
            parts.append(re.escape(token["escaped"]))
        else:
            parts.append({"*": ".*", "?": "."}.get(token.group(), re.escape(token.group())))
    return "".join(parts)


_GLOB_TOKEN: Final = re.compile(
    r"\[(?P<negated>\^?)(?P<members>(?:\\.|[^\]\\])*)(?:\]|$)|\\(?P<escaped>.)|.", re.DOTALL
)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(glob_regex(pattern), re.DOTALL)


def glob_matches(pattern: str, text: str) -> bool:
    """Whether a Redis glob matches `text`."""
    return _compiled(pattern).fullmatch(text) is not None
