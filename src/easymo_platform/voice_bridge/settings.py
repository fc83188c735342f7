"""Settings of voice-bridge."""

from easymo_platform.runtime.settings import Settings


class VoiceSettings(Settings, frozen=True, kw_only=True):
    """Beside what every service reads: where agents answer and how often stuck calls are looked for."""

    voice_sip_farmer_agent: str = "sip:farmer-agent@sip.easymo"
    voice_sip_general_agent: str = "sip:general-agent@sip.easymo"
    voice_sweep_interval_s: int = 300

    twilio_auth_token: str = ""
    """Twilio signs its callbacks with it; without it every callback is refused."""
    voice_public_url: str = "http://127.0.0.1:4405"
    """Where Twilio reaches us: its signature covers this address, whatever a proxy makes of the Host header."""

    def sip_target(self, agent_profile: str) -> str:
        """SIP address at which the agent of this profile answers."""
        return self.voice_sip_farmer_agent if agent_profile == "farmer_agent" else self.voice_sip_general_agent
