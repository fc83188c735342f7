"""Writes what was found as `acceptance.toml` and `load.py`."""

import json
import re
from collections.abc import Iterable

from easymo.proof.start.project import Project

MOST_REQUESTS = 12


def acceptance_toml(project: Project) -> str:
    """A first `acceptance.toml`: what was found, each part commented, and one example promise."""
    system = [f"name = {_text(project.name)}"]
    if project.build:
        system.append(f"# build = {_commands(project.build)}  # in each folder of code, for --base")
    if project.migrations:
        system.append(f"migrations = {_list(project.migrations)}  # SQL files, in this order")
    if project.prepare:
        system.append(f"prepare = {_commands(project.prepare)}  # then these commands, with the environment below")
    system.append('# data = ["{python}", "seed.py", "{scale}"]  # last: fills the database; measure on realistic data')
    environment = [f"{name} = {_text(value)}" for name, value in project.environment.items()]
    return "\n".join(
        [
            "# What easymo starts, changes and promises. All keys: docs/reference/acceptance.md",
            "[system]",
            *system,
            "",
            "[system.environment]  # of every command and process; DATABASE_URL and REDIS_URL are always there",
            *environment,
            "",
            "[[system.processes]]",
            'name = "web"',
            f"start = {_list(project.start)}  # answers on 127.0.0.1:{{port}}",
            f"ready = {_text(project.ready)}  # answers 2xx once it can serve",
            "",
            "[load]",
            'scenario = "load.py"',
            "",
            "# What changes: SQL files, commands with their undo, environment, or another revision of the code.",
            "# [treatments.index]",
            '# files = ["index.sql"]',
            "",
            "# What is promised. Without a promise: nothing gets worse.",
            "[[promises]]",
            'id = "p95"',
            'claim = "95 of 100 requests are answered within 200 ms at half load"',
            'source = "an example: write your own"',
            'metric = "latency_p95"',
            'kind = "level"  # or "change": after/before - 1',
            "at_most = 200  # ms",
            "",
        ]
    )


def load_py(project: Project) -> str:
    """A first scenario: a request for each GET route without parameters, the others as comments."""
    plain = [route for verb, route in project.routes if verb == "GET" and not re.search(r"[{<:*]", route)]
    requests = [
        f'        Request({json.dumps(f"GET {route}")}, 10, lambda rng: Call("GET", {json.dumps(route)})),'
        for route in (plain or [project.ready])[:MOST_REQUESTS]
    ]
    others = [f"{verb} {route}" for verb, route in project.routes if route not in plain or verb != "GET"]
    return "\n".join(
        [
            '"""What the users of this system send: weights are relative, all randomness comes from `rng`."""',
            "",
            "from easymo.load import Call, Request, Scenario",
            "",
            "scenario = Scenario(",
            "    [",
            *requests,
            *(f"        # {other}: give it values, such as rng.randrange(1, 1000)" for other in others[:MOST_REQUESTS]),
            "    ]",
            ")",
            "",
        ]
    )


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _commands(commands: list[list[str]]) -> str:
    return f"[{', '.join(map(_list, commands))}]"
