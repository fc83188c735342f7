"""Scenarios: a weighted mix of requests, each written as one Python function."""

import hashlib
import importlib.util
import random
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from easymo.load.errors import ScenarioError

_METHOD = re.compile(r"[A-Z]+")
_PATH = re.compile(r"/[!-~]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_OWN_HEADERS = frozenset({"host", "content-length", "connection", "transfer-encoding"})


class ScenarioRandom(random.Random):
    """The random numbers of one schedule, handed to every `build`.

    All draws depend on `seed` alone; only `token()` depends on `salt` too. So two arms with the same seed and different
    salts get the same load, and no idempotency key of the one meets the other's.

    `due_s` is the intended time of the request being built, in seconds from the start of the run. `memory` is empty at
    the start of a schedule: what one request leaves there (the key of what it creates), a later one may use.
    """

    due_s: float
    memory: dict[str, Any]

    def __init__(self, seed: int, salt: str) -> None:
        super().__init__(f"{seed}/requests")
        self.due_s = 0.0
        self.memory = {}
        self._token_prefix = f"{seed}/{salt}/".encode()
        self._tokens = 0

    def token(self) -> str:
        """32 hexadecimal digits that no other run (seed and salt) and no other place of this schedule gets."""
        self._tokens += 1
        return hashlib.blake2b(self._token_prefix + b"%d" % self._tokens, digest_size=16).hexdigest()


class Call(msgspec.Struct, frozen=True):
    """One HTTP request, ready to be sent. `path` holds the query string, percent-encoded."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Request(msgspec.Struct, frozen=True):
    """One kind of request in the mix.

    `weight` is relative to the other requests of the scenario. `target` names one of the run's URLs when the system has
    several processes; empty means the only or default one. `expect` holds the statuses that are no error; empty means
    any 2xx or 3xx. A 5xx is always an error.
    """

    name: str
    weight: float
    build: Callable[[ScenarioRandom], Call]
    target: str = ""
    expect: frozenset[int] = frozenset()

    def expects(self, status: int) -> bool:
        """Whether an answer with this status is no error."""
        if status >= 500:
            return False
        return status in self.expect if self.expect else 200 <= status < 400


class Scenario:
    """A weighted mix of requests. Raises `ScenarioError` when it is empty or a name or weight is wrong."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self.requests = tuple(requests)
        if not self.requests:
            raise ScenarioError("The scenario has no request, so there is nothing to send: give it at least one.")
        names = [request.name for request in self.requests]
        for request in self.requests:
            if names.count(request.name) > 1:
                raise ScenarioError(
                    f"Two requests of the scenario are named {request.name!r}, so their results could not be told "
                    "apart: give each its own name."
                )
            if not 0 < request.weight < float("inf"):
                raise ScenarioError(
                    f"The weight of request {request.name!r} is {request.weight!r}: it must be a number above 0 "
                    "(leave the request out to send none)."
                )

    def build(self, request: Request, random_numbers: ScenarioRandom) -> Call:
        """The next call of `request`, checked to be valid HTTP; raises `ScenarioError` with the request's name."""
        try:
            call = request.build(random_numbers)
        except Exception as error:  # the scenario's author wrote it, so it may raise anything
            raise ScenarioError(
                f"build of request {request.name!r} raised {type(error).__name__}: {error}. "
                "Nothing was sent; correct the scenario."
            ) from error
        if not isinstance(call, Call):
            raise ScenarioError(
                f"build of request {request.name!r} returned {type(call).__name__}, not a Call(method, path, …)."
            )
        fault = _fault(call)
        if fault:
            raise ScenarioError(f"Request {request.name!r} cannot be sent: {fault}.")
        return call


def _fault(call: Call) -> str | None:
    if not _METHOD.fullmatch(call.method):
        return f"method {call.method!r} is not an HTTP method in capitals"
    if not _PATH.fullmatch(call.path):
        return f"path {call.path!r} must start with / and be percent-encoded ASCII (urllib.parse.quote does it)"
    for name, value in call.headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            return f"header {name!r}: {value!r} is not valid in HTTP (Latin-1, one line)"
        if name.lower() in _OWN_HEADERS:
            return f"header {name!r} is written by the generator itself; leave it out"
    return None


def load_scenario(path: Path) -> Scenario:
    """The `scenario` that the Python file at `path` exports; its folder can be imported from, as for a script.

    Raises `ScenarioError` when the file is missing, fails to run, or exports no `Scenario` under that name.
    """
    if not path.is_file():
        raise ScenarioError(f"There is no scenario file {path}: name a Python file that exports `scenario`.")
    spec = importlib.util.spec_from_file_location(f"_easymo_scenario_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ScenarioError(f"{path} is not a Python file, so it holds no scenario: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from error
    except Exception as error:  # running somebody's file may raise anything; the cause stays attached
        raise ScenarioError(f"{path} cannot be imported: {type(error).__name__}: {error}. Nothing was sent.") from error
    scenario = getattr(module, "scenario", None)
    if not isinstance(scenario, Scenario):
        raise ScenarioError(
            f"{path} exports no scenario: it needs a line like "
            '`scenario = Scenario([Request("front page", 1, lambda rng: Call("GET", "/"))])`.'
        )
    return scenario
