"""The worker as a process of its own: it renders, and answers nothing but health and metrics."""

from collections.abc import Mapping

from litestar import Litestar
from prometheus_client import Histogram

from easymo_platform.runtime.app import Runtime, create_app
from easymo_platform.runtime.settings import read_settings
from easymo_platform.video_orchestrator.app import QUERIES, jobs_total
from easymo_platform.video_orchestrator.folder import WorkFolder
from easymo_platform.video_orchestrator.settings import VideoSettings
from easymo_platform.video_orchestrator.store import JobStore
from easymo_platform.video_orchestrator.worker import Worker

SECONDS_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)


def create(environ: Mapping[str, str]) -> Litestar:
    """The worker as the environment describes it.

    Raises:
        SettingsError: when a variable is missing or malformed, or there is no ffmpeg or no work folder.
    """
    settings = read_settings(VideoSettings, environ)
    runtime = Runtime.of("video-worker", settings, QUERIES)
    seconds = Histogram(
        "render_seconds",
        "Seconds of a stage: wait (in the queue), scene (one of them), film (joining them).",
        ("service", "stage"),
        registry=runtime.metrics.registry,
        buckets=SECONDS_BUCKETS,
    )
    store = JobStore(runtime.database, jobs_total(runtime), runtime.service)
    folder = WorkFolder(settings.folder)
    folder.prepare()
    worker = Worker(store, folder, settings, seconds)
    return create_app(runtime, (), worker, worker.running)
