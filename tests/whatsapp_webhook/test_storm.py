"""The storm in its short form; `make storm` is the whole one."""

import pytest

from drills.whatsapp_webhook.storm import storm


@pytest.mark.slow
async def test_a_backlog_is_drained_without_giving_a_message_up_and_each_number_in_order() -> None:
    result = await storm(messages=400, numbers=120, seed=7, within_s=180)
    assert result.holds, result
