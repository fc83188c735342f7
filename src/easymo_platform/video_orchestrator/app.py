"""The application of video-orchestrator, wired together."""

from collections.abc import Mapping
from pathlib import Path

from litestar import Litestar
from prometheus_client import Counter

from easymo_platform.runtime.app import Runtime, create_app
from easymo_platform.runtime.settings import read_settings
from easymo_platform.video_orchestrator.api import RENDER_ROUTES
from easymo_platform.video_orchestrator.folder import WorkFolder
from easymo_platform.video_orchestrator.service import VideoOrchestrator
from easymo_platform.video_orchestrator.settings import VideoSettings
from easymo_platform.video_orchestrator.store import JobStore
from easymo_platform.video_orchestrator.watch import QueueWatch

QUERIES = Path(__file__).with_name("queries.sql")


def create(environ: Mapping[str, str]) -> Litestar:
    """The service as the environment describes it. Raises :class:`SettingsError` when that cannot work."""
    settings = read_settings(VideoSettings, environ)
    runtime = Runtime.of("video-orchestrator", settings, QUERIES)
    store = JobStore(runtime.database, jobs_total(runtime), runtime.service)
    folder = WorkFolder(settings.folder)
    orchestrator = VideoOrchestrator(store, folder, runtime.cache, settings.render_queue_limit)
    return create_app(runtime, RENDER_ROUTES, orchestrator, QueueWatch(store, runtime.metrics).running)


def jobs_total(runtime: Runtime) -> Counter:
    """The counter that the service and its workers share the name of: summed over both it counts every change."""
    return runtime.metrics.counter("render_jobs_total", "Jobs that came to a status.", "status")
