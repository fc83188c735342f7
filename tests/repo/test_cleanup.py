"""A fixture or context manager cleans up however its block ends: what follows the `yield` stands in a `finally`.

A failure, a skip and Ctrl-C are raised at the `yield`. What stands behind it would be left out, and a server or thread
would outlive the tests.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MANAGERS = {"fixture", "async_fixture", "contextmanager", "asynccontextmanager"}
FILES = [file for folder in ("tests", "drills", "benchmarks") for file in sorted((ROOT / folder).rglob("*.py"))]


def unguarded(tree: ast.AST) -> Iterator[str]:
    """Managers with statements that run only if their block ended well; an assertion may be one of those."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _manages(node):
            yield from (f"{node.name}:{line}" for line in _behind_yield(node.body))


def _manages(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any((n.attr if isinstance(n, ast.Attribute) else getattr(n, "id", "")) in MANAGERS for n in names)


def _behind_yield(body: list[ast.stmt]) -> Iterator[int]:
    for place, statement in enumerate(body):
        if not any(isinstance(node, ast.Yield) for node in ast.walk(statement)):
            continue
        if isinstance(statement, ast.Try) and statement.finalbody:
            continue  # what follows the `yield` inside is the block's own
        following = body[place + 1 :]
        leaves = isinstance(statement, ast.If) and isinstance(statement.body[-1], ast.Return)
        if following and not leaves and not isinstance(following[0], ast.Return | ast.Assert):
            yield following[0].lineno
        if isinstance(statement, ast.With | ast.AsyncWith | ast.If | ast.For | ast.While):
            yield from _behind_yield(statement.body)


@pytest.mark.parametrize("folder", ["tests", "drills", "benchmarks"])
def test_what_follows_a_yield_stands_in_a_finally(folder: str) -> None:
    files = [file for file in FILES if file.is_relative_to(ROOT / folder)]
    assert [
        f"{file.relative_to(ROOT)}: {name}" for file in files for name in unguarded(ast.parse(file.read_text()))
    ] == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("server.start()\n    yield server\n    server.stop()", 1),
        ("with server:\n        yield server\n        server.check()", 1),
        ("if server:\n        yield server\n        server.stop()\n    else:\n        yield", 1),
        ("try:\n        yield server\n    finally:\n        server.stop()", 0),
        ("with server:\n        yield server", 0),
        ("yield server", 0),
        ("if given:\n        yield given\n        return\n    yield 1", 0),
    ],
)
def test_the_check_finds_what_it_is_for(body: str, found: int) -> None:
    source = f"@pytest.fixture\ndef server():\n    {body}\n"
    assert len([*unguarded(ast.parse(source))]) == found
