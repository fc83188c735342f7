"""The platform caches by strategies only: no ttl stands at a call site, and every strategy is used."""

import ast
from pathlib import Path

from easymo.cache import Strategy
from easymo_platform.agent_core.strategies import AgentStrategies
from easymo_platform.runtime.strategies import RuntimeStrategies
from easymo_platform.video_orchestrator.strategies import VideoStrategies
from easymo_platform.voice_bridge.strategies import VoiceStrategies
from easymo_platform.whatsapp_webhook.strategies import WhatsAppStrategies

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


def test_every_strategy_is_used_where_something_is_read() -> None:
    source = "".join(
        file.read_text(encoding="utf-8") for file in PLATFORM.rglob("*.py") if file.name != "strategies.py"
    )
    classes = (RuntimeStrategies, VoiceStrategies, VideoStrategies, WhatsAppStrategies, AgentStrategies)
    names = [
        f"{kind.__name__}.{name}"
        for kind in classes
        for name, value in vars(kind).items()
        if isinstance(value, Strategy)
    ]
    assert len(names) >= 10
    assert [name for name in names if f"{name}(" not in source] == []
