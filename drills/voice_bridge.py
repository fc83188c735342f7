"""The part of the note's load test that goes to voice-bridge."""

from pathlib import Path

from easymo.load import Scenario, load_scenario

_WHOLE = load_scenario(Path(__file__).parents[1] / "tests/load/services.py")

scenario = Scenario([request for request in _WHOLE.requests if request.target == "voice-bridge"])
