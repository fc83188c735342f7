"""Key templates: how arguments become a key, such that different arguments never share one."""

import re
from collections.abc import Mapping
from string import Formatter
from typing import Final

from easymo.cache.errors import StrategyError

_RESERVED = re.compile(r"[^\w.@+=-]")
_SEPARATOR = re.compile(r"[^\w.@+=%~-]")
_GLOB = re.compile(r"([*?\[\]\\^])")
_CONSTANTS = {None: "~none", True: "~true", False: "~false"}


def text_of(argument: object) -> str:
    """The part of a key that stands for one argument.

    Arguments share a text only if `str()` of them is the same: 7 and "7" are one user, whether the id came from a
    row or from a path. Every character that could be a separator, a glob or a hash tag is percent-encoded;
    None, True and False get forms that no text can have.
    """
    if isinstance(argument, str):
        text = str(argument)
    elif argument is None or isinstance(argument, bool):
        return _CONSTANTS[argument]
    elif isinstance(argument, (list, tuple, dict, set, frozenset, bytes, bytearray)):
        raise StrategyError(
            f"{argument!r} cannot be part of a cache key: its text has no agreed form. "
            "Pass its parts as fields of their own (text, numbers, UUIDs, dates)."
        )
    else:
        text = str(argument)
    return _RESERVED.sub(_percent_encoded, text)


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
