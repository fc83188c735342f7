"""What makes a scenario usable: types, names, weights, valid HTTP, and captures that come before they are used."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from easymo.load.request import Call, Request, ScenarioRandom, Visitor

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"})
_METHOD = re.compile(r"[A-Z]+")
_PATH = re.compile(r"/[!-~]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_OWN_HEADERS = frozenset({"content-length", "connection", "transfer-encoding"})


def entries_fault(entries: Sequence[Any], setup: Sequence[Any]) -> str | None:
    """What is wrong with the parts of a scenario, as a sentence."""
    if not entries:
        return "The scenario has no request, so there is nothing to send: give it at least one."
    steps: list[Any] = []
    for entry in entries:
        if not isinstance(entry, Request | Visitor):
            return f"A scenario holds Request(…) and Visitor(…), not {_shown(entry)}."
        kind, name, weight = type(entry).__name__.lower(), *_name_and_weight(entry)
        if not isinstance(name, str):
            return f"The name of a {kind} is {_shown(name)}: it must be a text."
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
            return (
                f"The weight of {kind} {name!r} is {_shown(weight)}: it must be a number above 0 "
                f"(leave the {kind} out to send none)."
            )
        if isinstance(entry, Visitor):
            if fault := _visitor_fault(entry):
                return f"Visitor {entry.name!r}: {fault}."
            steps += entry.steps
        else:
            steps.append(entry)
            if entry.capture:
                return f"Request {entry.name!r} captures, but only steps of a Visitor or of setup remember."
    for step in (*steps, *setup):
        if fault := _request_fault(step):
            return f"Request {getattr(step, 'name', step)!r}: {fault}."
    name, times = Counter(step.name for step in (*steps, *setup)).most_common(1)[0]
    if times > 1:
        return (
            f"Two requests of the scenario are named {name!r}, so their results could not be told apart: give each its "
            "own name."
        )
    return None


def _name_and_weight(entry: Any) -> tuple[Any, Any]:
    return entry.name, entry.weight


def _visitor_fault(visitor: Any) -> str | None:
    steps = visitor.steps
    if not isinstance(steps, list | tuple) or not steps:
        return f"steps is {_shown(steps)}: it must be a list with at least one Request"
    think = visitor.think_s if isinstance(visitor.think_s, tuple | list) else (visitor.think_s, visitor.think_s)
    numbers = [part for part in think if isinstance(part, int | float) and 0 <= part <= 3600]
    if len(think) != 2 or len(numbers) != 2 or think[0] > think[1]:
        return f"think_s is {_shown(visitor.think_s)}: it must be seconds from 0 to 3600, or (least, most)"
    return None


def _request_fault(step: Any) -> str | None:
    if not isinstance(step, Request):
        return "it must be a Request"
    request: Any = step  # nobody has checked what an author wrote
    expect = request.expect
    checks = request.check if isinstance(request.check, list | tuple) else [request.check]
    if not isinstance(request.name, str):
        return "name must be a text"
    if not callable(request.build):
        return f"build is {_shown(request.build)}: it must be a function such as lambda rng: Call('GET', '/')"
    if not isinstance(request.target, str):
        return f"target is {_shown(request.target)}: it must be a text, the NAME of --url NAME=…"
    if (
        isinstance(expect, str | bytes)
        or not isinstance(expect, Collection)
        or not all(isinstance(status, int) for status in expect)
    ):
        return f"expect is {_shown(expect)}: it must be a set of statuses such as {{200, 404}}"
    if not all(callable(check) for check in checks):
        return f"check is {_shown(request.check)}: it must be a function of the reply, or a list of them"
    captures = request.capture
    if not isinstance(captures, Mapping) or not all(callable(take) for take in captures.values()):
        return f"capture is {_shown(captures)}: it must be a dictionary such as {{'token': json_value('/token')}}"
    return None


def call_fault(built: Any) -> str | None:
    """Why this cannot be sent as a request, None when it can."""
    if not isinstance(built, Call):
        return f"build returned {type(built).__name__}, not a Call(method, path, …)"
    call: Any = built
    if not isinstance(call.body, bytes):
        advice = "write b'…' or add .encode()" if isinstance(call.body, str) else "json.dumps(…).encode() makes them"
        return f"body is {_shown(call.body)}, but must be bytes: {advice}"
    if not isinstance(call.method, str) or (call.method not in _METHODS and not _METHOD.fullmatch(call.method)):
        return f"method {call.method!r} is not an HTTP method in capitals"
    if not isinstance(call.path, str) or not _PATH.fullmatch(call.path):
        return f"path {call.path!r} must start with / and be percent-encoded ASCII (urllib.parse.quote does it)"
    if not isinstance(call.headers, Mapping):
        return f"headers is {_shown(call.headers)}, but must be a dictionary of texts"
    for name, value in call.headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            return f"header {name!r}: {_shown(value)} must be a text: write str(…)"
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            return f"header {name!r}: {value!r} is not valid in HTTP (Latin-1, one line)"
        if name.lower() in _OWN_HEADERS:
            return f"header {name!r} is written by the generator itself; leave it out"
    return None


class _Memory(dict[str, Any]):
    """Remembers what was looked up in vain."""

    missing: str | None = None

    def __missing__(self, key: str) -> Any:
        self.missing = key
        raise KeyError(key)


def uncaptured(steps: Sequence[Request], setup: Sequence[Request] = ()) -> str | None:
    """The first step that needs what no step before it captures, as a sentence. Each is built once to find out."""
    captured_by = {name: step for step in (*steps, *setup) for name in step.capture}
    memory = _Memory({name: "1" for step in setup for name in step.capture})
    for step in steps:
        name = _missing(step, memory)
        if name is not None and name not in captured_by:
            there = ", ".join(map(repr, memory)) or "nothing"
            return f"{step.name!r} uses {name!r}, which no step before it captures; there is {there} so far."
        if name is not None:
            later = captured_by[name]
            rest = _Memory(dict.fromkeys(captured_by.keys() - step.capture.keys(), "1"))
            if later is step or _missing(later, rest) in step.capture:
                return (
                    f"{step.name!r} and {later.name!r} each need what the other one captures, so neither can go first."
                )
            return f"{step.name!r} uses {name!r}, which only the later step {later.name!r} captures: put it first."
        memory.update(dict.fromkeys(step.capture, "1"))
    return None


def _missing(step: Request, memory: _Memory) -> str | None:
    random_numbers = ScenarioRandom(0, "")
    random_numbers.memory, memory.missing = memory, None
    with suppress(Exception):  # the values are made up, so what it makes of them says nothing
        step.build(random_numbers)
    return memory.missing


def _shown(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:59] + '…'}"
