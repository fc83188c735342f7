"""The short form of the campaign; the full one is `python -m drills.whatsapp_webhook.campaign --kills 100`."""

import pytest

from drills.whatsapp_webhook.campaign import Campaign
from easymo.embedded import Valkey


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_no_message_is_lost_and_none_answered_twice_however_often_we_are_killed(
    database_url: str, valkey: Valkey
) -> None:
    result = await Campaign(database_url, valkey.url, kills=8, seed=6).run()
    assert result.holds, result
    assert sum(result.kills.values()) == 8
    assert result.sent == result.acknowledged > 50
    assert result.duplicates_reported >= result.redelivered > 0
