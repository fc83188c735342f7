"""Where a key stands in a TOML file; :mod:`tomllib` itself does not say."""

import re

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?")
_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'')

Path = tuple[str | int, ...]


def key_lines(text: str) -> dict[Path, int]:
    """Map each key path (``("promises", 2, "kind")``) and each table to its 1-based line."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    depth = 0  # open brackets of a value that runs over several lines
    for number, line in enumerate(text.splitlines(), 1):
        if depth == 0 and (header := _HEADER.match(line)):
            table = _absolute(_parts(header[2]), counts, array=header[1] == "[[")
            lines.setdefault(table, number)
            continue
        if depth == 0 and (key := _KEY.match(line)):
            lines[table + _parts(key[1])] = number
        bare = _STRING.sub("", line).split("#", 1)[0]
        depth = max(0, depth + bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}"))
    return lines


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """Line of ``path`` or of the nearest table around it; ``"..."`` in ``path`` stands for any key."""
    while path:
        for known, line in lines.items():
            if len(known) == len(path) and all(want in ("...", have) for want, have in zip(path, known, strict=True)):
                return line
        path = path[:-1]
    return None


def _parts(dotted: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _absolute(parts: Path, counts: dict[Path, int], *, array: bool) -> Path:
    """Insert the index of the current element after each name that is an array of tables."""
    path: Path = ()
    for position, part in enumerate(parts):
        path += (part,)
        if array and position == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path += (counts[path],)
    return path
