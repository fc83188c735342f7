"""Workers that are killed, the short form; `python -m drills.video_orchestrator.campaign` is the full one."""

from pathlib import Path

import pytest

from drills.video_orchestrator.campaign import Campaign


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_killed_workers_lose_no_job_end_none_twice_and_leave_nothing(baseline_url: str, root: Path) -> None:
    outcome = await Campaign(baseline_url, root, seed=7).run(kills=6)
    assert outcome.problems == []
    assert outcome.kills == 6
    assert outcome.jobs["succeeded"] > 0
