"""Settings of agent-core."""

from typing import Literal

from easymo_platform.runtime.settings import Settings, SettingsError


class AgentSettings(Settings, frozen=True, kw_only=True):
    """Beside what every service reads: who replies, which features are on, whose agents may use tools."""

    agent_provider: Literal["rules", "openai"] = "rules"
    agent_base_url: str = "http://127.0.0.1:8080/v1"
    """Of an OpenAI-compatible server; its ``/chat/completions`` is asked."""
    agent_api_key: str = ""
    agent_model: str = "default"
    agent_timeout_s: float = 10.0
    agent_fallback: bool = True
    """When the model fails: answer by rules and say so. ``false``: answer 502 or 504."""
    feature_agent_chat: bool = True
    feature_agent_sessions: bool = True
    feature_agent_tools: bool = False
    feature_agent_payments: bool = False
    feature_agent_transfers: bool = False
    jwt_public_key: str = ""
    """PEM of the key that signs agents' tokens (``x-agent-jwt``, RS256). Without it no tool can be used."""
    voice_bridge_url: str = "http://127.0.0.1:4405"
    agent_sweep_interval_s: int = 15

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.agent_timeout_s > 0:
            raise SettingsError(["AGENT_TIMEOUT_S must be greater than 0."])
