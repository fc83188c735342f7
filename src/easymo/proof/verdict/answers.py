"""Whether two sides answer alike: the same seeded requests asked one after the other, before any round. Pure.

The side before is asked twice, each time on a fresh copy of the data. What differs between these two times differs by
nature (a time, a random identifier) and is not judged until `leave_out` says what to ignore. What is the same twice and
differs from the other side is a difference: whatever else that side gains, it does not do the same work.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice

from msgspec import Struct

#: How many places of an unstable answer are named.
NAMED = 5
_KEPT_BYTES = 100_000


class Answer(Struct, frozen=True):
    """One answer: `content` is its normalised body, cut at 100 kB, `digest` the hash of all of it."""

    request: str
    asked: str
    status: int
    content_type: str
    content: str
    digest: str


class Differing(Struct, frozen=True):
    """Answers to one kind of request that differ, how many of how many, and what differs in the first of them."""

    count: int
    of: int
    what: str


class AnswersCompared(Struct, frozen=True):
    """`asked`: requests sent to each side. `unstable`: per request name the places that differ by nature. `names`: of
    all requests of the scenario."""

    asked: int
    differing: dict[str, Differing] = {}
    unstable: dict[str, list[str]] = {}
    seconds: float = 0.0
    names: list[str] = []


def normalised(body: bytes, content_type: str, leave_out: Sequence[str]) -> bytes:
    """JSON without what the pointers in `leave_out` name (`*` stands for every member), keys sorted, lists in their
    order; any other body as it is."""
    if "json" not in content_type and body[:1] not in (b"{", b"["):
        return body
    try:
        value = json.loads(body)
    except ValueError:
        return body
    for pointer in leave_out:
        _remove(value, pointer.strip("/").split("/"))
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()


def answer(request: str, asked: str, status: int, content_type: str, body: bytes) -> Answer:
    """An answer whose `body` is normalised already."""
    kind = content_type.split(";")[0].strip().lower()
    content = body[:_KEPT_BYTES].decode("utf-8", errors="replace")
    return Answer(request, asked, status, kind, content, hashlib.sha256(body).hexdigest())


def compare_answers(
    first: Sequence[Answer], again: Sequence[Answer], other: Sequence[Answer], seconds: float = 0.0
) -> AnswersCompared:
    """Compare three series of answers to the same requests, as far as all of them go."""
    unstable: dict[str, dict[str, None]] = {}
    rows = list(zip(first, again, other, strict=False))
    for one, same, _ in rows:
        places = unstable.setdefault(one.request, {})
        places.update((place, None) for place, differs in _parts(one, same) if differs)
        if one.digest != same.digest:
            places.update((f"body {place}", None) for place in islice(_places(one, same), NAMED))
    found: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for one, _, changed in rows:
        counts[one.request] = counts.get(one.request, 0) + 1
        ignored = unstable[one.request]
        said = [_said(part, one, changed) for part, differs in _parts(one, changed) if differs and part not in ignored]
        if said:
            found.setdefault(one.request, []).append(said[0])
    differing = {name: Differing(len(said), counts[name], said[0]) for name, said in found.items()}
    named = {name: [p for p in places if p != "body"] for name, places in unstable.items() if places}
    return AnswersCompared(len(rows), differing, named, seconds)


def _parts(one: Answer, other: Answer) -> list[tuple[str, bool]]:
    return [
        ("status", one.status != other.status),
        ("type", one.content_type != other.content_type),
        ("body", one.digest != other.digest),
    ]


def _said(part: str, one: Answer, other: Answer) -> str:
    if part == "status":
        return f"{one.asked}: status {one.status} before, {other.status} after"
    if part == "type":
        return f"{one.asked}: {one.content_type or 'no type'} before, {other.content_type or 'no type'} after"
    if not other.content:
        return f"{one.asked}: a body of {len(one.content):,} characters before, none after"
    places = list(islice(_places(one, other), 2))
    return f"{one.asked}: the body differs at {' and '.join(places)}"


def _places(one: Answer, other: Answer) -> Iterator[str]:
    """JSON pointers to what differs (`*` for a place in a list), or where the texts part."""
    try:
        values = json.loads(one.content), json.loads(other.content)
    except ValueError:
        same = next((n for n, (a, b) in enumerate(zip(one.content, other.content, strict=False)) if a != b), None)
        yield f"character {min(len(one.content), len(other.content)) if same is None else same}"
        return
    yield from dict.fromkeys(_pointers("", *values))


def _pointers(at: str, one: object, other: object) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key not in one or key not in other:
                yield f"{at}/{key}"
            else:
                yield from _pointers(f"{at}/{key}", one[key], other[key])
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            yield f"{at or '/'} ({len(one)} and {len(other)} items)"
        for a, b in zip(one, other, strict=False):
            yield from _pointers(f"{at}/*", a, b)
    elif one != other or type(one) is not type(other):
        yield at or "/"


def _remove(value: object, path: list[str]) -> None:
    key, rest = path[0], path[1:]
    if isinstance(value, dict):
        for name in [name for name in value if key in ("*", name)]:
            if rest:
                _remove(value[name], rest)
            else:
                del value[name]
    elif isinstance(value, list):
        for place in range(len(value)):
            if key in ("*", str(place)):
                if rest:
                    _remove(value[place], rest)
                else:
                    value[place] = None
