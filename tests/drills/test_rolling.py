"""The short form of ``python -m drills.rolling``."""

import pytest

from drills.proxy import haproxy
from drills.rolling import restart_under_load
from drills.traffic import VOICE_BRIDGE
from easymo.embedded import Valkey
from easymo_platform.operations.migrate import migrate
from easymo_platform.sample_data.load import load

SCALE = "0.02"


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(600)
async def test_no_request_fails_while_both_processes_of_a_service_are_restarted(
    database_url: str, valkey: Valkey
) -> None:
    haproxy()
    await migrate(database_url)
    await load(database_url, SCALE, 1)
    result = await restart_under_load(
        database_url,
        valkey.url,
        ["voice-bridge"],
        rate_rps=20,
        scale=SCALE,
        scenario=VOICE_BRIDGE,
        stretch_s=4.0,
        timeout_s=60.0,
    )
    assert result.requests > 0
    assert result.errors == {}
    assert result.exit_codes == [0, 0]
