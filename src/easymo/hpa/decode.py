"""YAML and JSON as kubectl reads them: through sigs.k8s.io/yaml, which makes JSON of YAML 1.1.

Go's yaml.v2 decides what a plain scalar is: `1:10` and dates are texts, `010` and `0o10` are 8, `yes` is true, `1_000`
is 1000, and `30.0` becomes the JSON number 30. Of a key that stands twice the last value counts. To the API server a
null field is an absent one, so it is left out here. Documents are divided at `---` lines before anything is parsed, so
a broken one hides no other.
"""

import base64
import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

Field = tuple[str | int, ...]
DEEPEST = 100
ALIASED = 100_000
"""So many values may come from aliases: seven lines of YAML can ask for billions."""
_INT = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **{sign + word: float(sign + word[1:]) for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_MERGE = object()
_SEPARATOR = re.compile(r"^---(?=[ \t\r]*(?:$|#)|[ \t])", re.MULTILINE)


class DecodeError(Exception):
    """A text is neither YAML nor JSON that kubectl takes; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line, self.reason = line, reason


class Decoded(NamedTuple):
    """A value, its lines by field, the text it was read from, and the lines of keys that stood there before."""

    content: Any
    lines: dict[Field, int]
    source: str
    doubled: list[tuple[int, str]]


def decode(text: str) -> Iterator[Decoded | DecodeError]:
    """Every document of `text`; a broken one is an error among the others."""
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        try:
            yield from list(_json(text.lstrip("\ufeff")))
            return
        except (ValueError, RecursionError):
            pass  # a YAML document may begin with a brace, too
    begins, line = 0, 1
    for end in [*(found.start() for found in _SEPARATOR.finditer(text)), len(text)]:
        source = text[begins:end]
        body = " " * 3 + source[3:] if begins or source.startswith("---") else source
        try:
            if not body.isspace():
                yield from _Yaml(body, line).documents(source)
        except DecodeError as error:
            yield error
        except (yaml.YAMLError, UnicodeEncodeError) as error:
            mark = getattr(error, "problem_mark", None)
            reason = getattr(error, "problem", None) or str(error).splitlines()[0]
            yield DecodeError(line + (mark.line if mark else 0), f"not valid YAML: {reason}. Correct it first.")
        line += source.count("\n")
        begins = end


def _json(text: str) -> Iterator[Decoded]:
    decoder, at, line = json.JSONDecoder(), 0, 1
    while at < len(text):
        if text[at].isspace():
            line += text[at] == "\n"
            at += 1
            continue
        content, end = decoder.raw_decode(text, at)
        source = text[at:end]
        try:
            located = next(_Yaml(source, line).documents(source))
            yield located._replace(content=_without_null(content))
        except (yaml.YAMLError, DecodeError, UnicodeEncodeError):  # JSON that YAML does not take has no lines
            yield Decoded(_without_null(content), {(): line}, source, [])
        line, at = line + source.count("\n"), end


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return [_without_null(item) for item in value] if isinstance(value, list) else value


class _Yaml:
    """One pass over the events of a parser."""

    def __init__(self, text: str, first_line: int) -> None:
        self._parser, self._first = yaml.CSafeLoader(text), first_line
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._lines: dict[Field, int] = {}
        self._doubled: list[tuple[int, str]] = []
        self._values = self._aliased = 0

    def documents(self, source: str) -> Iterator[Decoded]:
        """What the text holds; an empty document is None."""
        try:
            while not self._parser.check_event(yaml.StreamEndEvent):
                event = self._parser.get_event()
                if isinstance(event, yaml.DocumentStartEvent):
                    self._anchors, self._lines, self._doubled = {}, {}, []
                    content = self._value(self._parser.get_event(), ())
                    yield Decoded(content, self._lines, source, self._doubled)
        finally:
            self._parser.dispose()

    def _line(self, event: Any) -> int:
        return int(event.start_mark.line) + self._first

    def _value(self, event: Any, field: Field) -> Any:
        self._lines.setdefault(field, self._line(event))
        self._values += 1
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if len(field) > DEEPEST:
            raise DecodeError(self._line(event), f"it is nested deeper than {DEEPEST} levels. No object is.")
        before, name = self._values, getattr(event, "anchor", None)
        if name is not None:
            self._anchors[name] = None  # until it is complete
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        else:
            value = self._mapping(field) if isinstance(event, yaml.MappingStartEvent) else self._sequence(field)
        if name is not None:
            self._anchors[name] = value, self._values - before + 1
        return value

    def _alias(self, event: Any) -> Any:
        found = self._anchors.get(event.anchor)
        if event.anchor not in self._anchors:
            raise DecodeError(self._line(event), f"there is no anchor &{event.anchor} before *{event.anchor}.")
        if found is None:
            raise DecodeError(self._line(event), f"the anchor &{event.anchor} contains itself. Write its value out.")
        value, size = found
        self._values += size
        self._aliased += size
        if self._aliased > ALIASED:
            raise DecodeError(self._line(event), f"its aliases stand for more than {ALIASED:,} values. Write fewer.")
        return value

    def _sequence(self, field: Field) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := self._parser.get_event(), yaml.SequenceEndEvent):
            found.append(self._value(event, (*field, len(found))))
        return found

    def _mapping(self, field: Field) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        seen: set[str] = set()
        while not isinstance(event := self._parser.get_event(), yaml.MappingEndEvent):
            key, line = self._key(event), self._line(event)
            if key is _MERGE:
                value = self._value(self._parser.get_event(), (*field, "<<"))
                for part in value if isinstance(value, list) else [value]:
                    if not isinstance(part, dict):
                        raise DecodeError(line, "what << merges must be a mapping.")
                    merged = {**part, **merged}
                continue
            if key in seen:
                self._doubled.append((line, key))
                found.pop(key, None)
            seen.add(key)
            self._lines[*field, key] = line
            value = self._value(self._parser.get_event(), (*field, key))
            if value is not None:
                found[key] = value
        return {**{key: value for key, value in merged.items() if key not in seen}, **found}

    def _key(self, event: Any) -> Any:
        plain = isinstance(event, yaml.ScalarEvent)
        if plain and event.value == "<<" and event.implicit[0]:
            return _MERGE
        key = self._scalar(event) if plain else self._alias(event) if isinstance(event, yaml.AliasEvent) else None
        if key is None or isinstance(key, dict | list):
            raise DecodeError(self._line(event), "a key must be a text, a number or true and false.")
        if plain and event.anchor:
            self._anchors[event.anchor] = key, 1
        return key if isinstance(key, str) else json.dumps(key)

    def _scalar(self, event: Any) -> Any:
        tag, text = (event.tag or "").removeprefix("tag:yaml.org,2002:"), event.value
        if tag == "binary":
            try:
                return base64.b64decode(text).decode("utf-8", "replace")
            except ValueError as error:
                raise DecodeError(self._line(event), "!!binary is followed by something that is no base64.") from error
        if (not event.implicit[0] or event.style) and tag not in ("int", "float", "bool", "null"):
            return text
        value = _plain(text)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise DecodeError(self._line(event), f"{text[:40]} is no number that JSON has.")
            return float(text) if tag == "float" and value != value // 1 else _whole(value)
        return value


def _whole(value: float) -> int | float:
    """As Go writes it: without a point where there is nothing behind it."""
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    digits = text.replace("_", "") if text[0] in "+-.0123456789" else text
    if _INT.fullmatch(digits):
        value = _integer(digits)
        return value if -(2**63) <= value < 2**64 else float(value) if abs(value) < 1e300 else math.inf
    return float(digits) if _FLOAT.fullmatch(digits) else text


def _integer(digits: str) -> int:
    sign, plain = (-1 if digits[0] == "-" else 1), digits.lstrip("+-").lower()
    if len(plain) > 1 and plain[0] == "0" and plain[1].isdigit():
        return sign * int(plain, 8)
    return sign * int(plain, 0) if len(plain) < 4000 else 10**400
