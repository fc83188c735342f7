"""The environment that a project's own example says it needs, with the servers' parts as placeholders."""

import re
from pathlib import Path
from urllib.parse import urlsplit

FILES = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example")
MOST_VARIABLES = 12
_LINE = re.compile(r"""^(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=\s*("[^"]*"|'[^']*'|[^#\n]*)""", re.MULTILINE)
_SERVERS = {"database": re.compile(r"DB|DATABASE|POSTGRES|^PG|SQL"), "redis": re.compile(r"REDIS|VALKEY|CACHE|BROKER")}
_PARTS = {
    "host": re.compile(r"(HOST|SERVER|HOSTNAME)$"),
    "port": re.compile(r"PORT$"),
    "user": re.compile(r"(USER|USERNAME)$"),
    "password": re.compile(r"(PASSWORD|PASS)$"),
    "name": re.compile(r"(NAME|DB|DATABASE)$"),
}


def environment_of(root: Path) -> dict[str, str]:
    """Variables of the example file: those of its servers become placeholders, the others keep their value.

    Without an example file those of `.env` count that become placeholders: the others may be secrets.
    """
    places = [folder / name for folder in (root, root.resolve().parent) for name in (*FILES, ".env")]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return {}
    found: dict[str, str] = {}
    for name, text in _LINE.findall(file.read_text(encoding="utf-8", errors="replace")):
        example = text.strip().strip("\"'")
        value = placeholder(name, example)
        if value and len(found) < MOST_VARIABLES and (file.name != ".env" or value != example):
            found[name] = value
    return found


def placeholder(name: str, example: str) -> str:
    """The value of the variable `name`, whose example is `example`: with placeholders where it tells of a server."""
    if name == "PORT":
        return "{port}"
    for server, pattern in _SERVERS.items():
        if not pattern.search(name):
            continue
        scheme = urlsplit(example).scheme
        if re.search(r"(URL|URI|DSN)$", name):
            if "+" not in scheme:
                return f"{{{server}_url}}"
            login = f"{{{server}_user}}:{{{server}_password}}@{{{server}_host}}:{{{server}_port}}/{{{server}_name}}"
            return f"{scheme}://{login}"
        for part, ending in _PARTS.items():
            if ending.search(name):
                return f"{{{server}_{part}}}"
    return example
