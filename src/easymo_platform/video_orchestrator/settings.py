"""Settings of video-orchestrator: the same for the service and for its workers."""

import os
import shutil
from pathlib import Path

import msgspec

from easymo_platform.runtime.settings import Settings, SettingsError


def _cores() -> int:
    return len(os.sched_getaffinity(0))


class VideoSettings(Settings, frozen=True, kw_only=True):
    """Beside what every service reads: where files are, how much is done at once, when something is given up."""

    render_dir: str = ".easymo/render"
    """Folder that the service and all workers share; sources lie below its ``media``."""
    render_queue_limit: int = 100
    """Jobs that may wait; one more is refused."""
    render_lease_s: float = 60.0
    """How long a worker may be silent before its job goes to another. Also the pause before a failed one is retried."""
    render_timeout_s: float = 900.0
    """How long one ffmpeg pass may take."""
    render_scenes_at_once: int = msgspec.field(default_factory=_cores)
    render_cache_bytes: int = 10 * 1024**3
    """Finished scenes and films that are kept for reuse; the longest unused go first."""
    render_keep_days: float = 7.0
    """How long a job's output can be fetched after the job has succeeded; then its file is removed."""
    ffmpeg: str = ""
    """The ffmpeg to run; empty: the one of the wheel ``imageio-ffmpeg``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        problems = [
            f"{name.upper()} must be greater than 0."
            for name in (
                "render_queue_limit",
                "render_lease_s",
                "render_timeout_s",
                "render_scenes_at_once",
                "render_keep_days",
            )
            if not getattr(self, name) > 0
        ]
        if problems:
            raise SettingsError(problems)

    @property
    def folder(self) -> Path:
        """:attr:`render_dir` as an absolute path."""
        return Path(self.render_dir).resolve()

    def find_ffmpeg(self) -> str:
        """Path of the ffmpeg to run. Raises :class:`SettingsError` when there is none."""
        if self.ffmpeg:
            found = shutil.which(self.ffmpeg)
            if found is None:
                raise SettingsError(["FFMPEG names no program that can be run: no job could be rendered."])
            return str(Path(found).resolve())
        try:
            import imageio_ffmpeg  # type: ignore[import-untyped]
        except ImportError:
            raise SettingsError(
                ["There is no ffmpeg: install the extra (`pip install easymo[video]`), or name one in FFMPEG."]
            ) from None
        return str(imageio_ffmpeg.get_ffmpeg_exe())
