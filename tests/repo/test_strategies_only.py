"""The platform caches by strategies only: no ttl stands at a call site, and every strategy is used."""

import ast
from pathlib import Path

from easymo.cache import Strategy
from easymo_platform.runtime.strategies import CacheStrategies
from easymo_platform.voice_bridge.strategies import VoiceStrategies

PLATFORM = Path(__file__).parents[2] / "src" / "easymo_platform"


def calls() -> list[tuple[Path, ast.Call]]:
    trees = [(file, ast.parse(file.read_text(encoding="utf-8"))) for file in sorted(PLATFORM.rglob("*.py"))]
    return [(file, node) for file, tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_a_ttl_stands_only_in_a_strategies_module() -> None:
    places = [
        f"{file.relative_to(PLATFORM)}:{call.lineno}"
        for file, call in calls()
        if any(keyword.arg in ("ttl", "stale_for") for keyword in call.keywords) and file.name != "strategies.py"
    ]
    assert places == []


def test_no_key_of_the_cache_is_written_by_hand() -> None:
    """Keys come from strategies, so that who writes drops exactly what who reads has cached."""
    methods = ("get_or_set", "get_or_set_bytes", "delete", "set")
    places = [
        f"{file.relative_to(PLATFORM)}:{call.lineno}"
        for file, call in calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in methods
        and isinstance(call.func.value, ast.Name | ast.Attribute)
        and ast.unparse(call.func.value).split(".")[-1] in ("cache", "_cache", "later")
        and any(isinstance(argument, ast.Constant | ast.JoinedStr) for argument in call.args)
    ]
    assert places == []


def test_every_strategy_of_voice_bridge_is_used_by_it() -> None:
    source = "".join(
        file.read_text(encoding="utf-8") for file in PLATFORM.rglob("*.py") if file.name != "strategies.py"
    )
    own = {name for name, value in vars(VoiceStrategies).items() if isinstance(value, Strategy)}
    shared = {"voice_call", "live_calls", "analytics", "health_check"}
    assert shared <= {name for name, value in vars(CacheStrategies).items() if isinstance(value, Strategy)}
    unused = {name for name in own | shared if f"Strategies.{name}(" not in source}
    drops = (PLATFORM / "voice_bridge" / "strategies.py").read_text(encoding="utf-8")
    assert {name for name in unused if f"Strategies.{name}(" not in drops} == set()
