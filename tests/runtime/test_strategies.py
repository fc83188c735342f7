"""The performance note's table of strategies, and where we differ."""

from datetime import timedelta

import pytest

from easymo.cache import Strategy
from easymo_platform.agent_core.strategies import AgentStrategies
from easymo_platform.runtime.strategies import RuntimeStrategies
from easymo_platform.voice_bridge.strategies import VoiceStrategies
from easymo_platform.whatsapp_webhook.strategies import WhatsAppStrategies

TABLE = {
    "voice_call": timedelta(hours=1),  # a minute in the note; every writer drops it
    "whatsapp_message": timedelta(hours=24),
    "analytics": timedelta(minutes=5),
    "agent_session": timedelta(minutes=30),
    "health_check": timedelta(seconds=10),
    "live_calls": timedelta(seconds=10),
}


def strategies() -> dict[str, Strategy]:
    classes = (RuntimeStrategies, VoiceStrategies, WhatsAppStrategies, AgentStrategies)
    return {name: value for kind in classes for name, value in vars(kind).items() if isinstance(value, Strategy)}


def test_every_strategy_of_the_note_has_the_notes_ttl() -> None:
    assert {name: strategies()[name].ttl for name in TABLE} == TABLE


@pytest.mark.parametrize("name", TABLE)
def test_a_strategy_bears_the_name_of_its_attribute(name: str) -> None:
    assert strategies()[name].name == name


def test_live_calls_have_a_key_per_limit_and_one_tag() -> None:
    assert str(VoiceStrategies.live_calls(15)) == "live-calls:15"
    assert VoiceStrategies.live_calls(15).tags == ("live-calls",)
    assert str(VoiceStrategies.voice_call(7)) == "voice_call:7"
