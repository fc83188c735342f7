"""What video-orchestrator caches. A job's state is not: it changes every second while anyone looks at it."""

from datetime import timedelta

from easymo.cache import Strategy


class VideoStrategies:
    """The strategies of video-orchestrator."""

    # A player asks for an output in dozens of ranges. No event ends it: what a job has made never changes. Whether it
    # was removed is asked when the file is missing.
    render_output = Strategy(name="render_output", key="render-output:{job_id}", ttl=timedelta(hours=1))
