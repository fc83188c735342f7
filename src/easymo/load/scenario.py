"""Scenarios: a weighted mix of requests and visitors, written as a Python file."""

import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from easymo.load.errors import ScenarioError
from easymo.load.request import Call, Request, ScenarioRandom, Visitor
from easymo.load.valid import call_fault, entries_fault, uncaptured

__all__ = ["Call", "Request", "Scenario", "ScenarioRandom", "Visitor", "load_scenario"]


class Scenario:
    """A weighted mix of requests and visitors.

    The steps of `setup` are played once before the load, such as a login: what they capture is in everybody's memory,
    and their cookies are sent with every request. Raises `ScenarioError` when something cannot be used as it is.

    `requests` are those of the mix and the steps of all visitors; `entries` are what the weights choose between.
    """

    def __init__(self, requests: Iterable[Request | Visitor], setup: Iterable[Request] = ()) -> None:
        try:
            self.entries, self.setup = tuple(requests), tuple(setup)
        except TypeError as error:
            raise ScenarioError(f"A scenario is made of a list of requests: {error}.") from error
        if fault := entries_fault(self.entries, self.setup):
            raise ScenarioError(fault)
        steps = (entry.steps if isinstance(entry, Visitor) else (entry,) for entry in self.entries)
        self.requests = tuple(request for requests in steps for request in requests)

    def check_captures(self) -> None:
        """Raises `ScenarioError` for a step that uses what no step before it captures."""
        fault = uncaptured(self.setup)
        for entry in self.entries:
            if isinstance(entry, Visitor):
                fault = fault or uncaptured(entry.steps, self.setup)
        if fault:
            raise ScenarioError(fault)

    def build(self, request: Request, random_numbers: ScenarioRandom) -> Call:
        """The next call of `request`, checked to be valid HTTP; raises `ScenarioError` with file, line and name."""
        try:
            call = request.build(random_numbers)
        except Exception as error:  # the scenario's author wrote it, so it may raise anything
            raise ScenarioError(
                f"{_place(error, _code(request)[0])}build of request {request.name!r} raised {type(error).__name__}: "
                f"{error}. Correct the scenario."
            ) from error
        if fault := call_fault(call):
            file, line = _code(request)
            raise ScenarioError(f"{file}:{line}: Request {request.name!r} cannot be sent: {fault}.")
        return call


def load_scenario(path: Path) -> Scenario:
    """The `scenario` that the Python file at `path` exports; its folder can be imported from, as for a script.

    Raises `ScenarioError` when the file is missing, fails to run, or exports no `Scenario` under that name.
    """
    if not path.is_file():
        raise ScenarioError(f"There is no scenario file {path}: name a Python file that exports `scenario`, or a URL.")
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
        raise ScenarioError(f"{_place(error, str(path)) or f'{path}: '}{error}") from error
    except Exception as error:  # running somebody's file may raise anything; the cause stays attached
        place = _place(error, str(path)).rstrip(": ") or str(path)
        raise ScenarioError(
            f"{place} cannot be imported: {type(error).__name__}: {error}. Nothing was sent."
        ) from error
    scenario = getattr(module, "scenario", None)
    if not isinstance(scenario, Scenario):
        raise ScenarioError(
            f"{path} exports no scenario: it needs a line like "
            '`scenario = Scenario([Request("front page", 1, lambda rng: Call("GET", "/"))])`.'
        )
    return scenario


def _code(request: Request) -> tuple[str, int]:
    code = getattr(request.build, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code else (str(request.build), 0)


def _place(error: Exception, file: str) -> str:
    """`file:line: ` of the last line of this file that the error came through, or nothing."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}:{lines[-1]}: " if lines else ""
