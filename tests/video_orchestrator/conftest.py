"""video-orchestrator on a real Postgres, with clips that ffmpeg itself has made."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.video_orchestrator.clips import FFMPEG, make_clips


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sources that plans of the tests name."""
    return make_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def root(tmp_path: Path, clips: Path) -> Path:
    """A work folder of the test's own; its media are hard links, so that a test may change them."""
    media = tmp_path / "render" / "media"
    media.mkdir(parents=True)
    for clip in clips.iterdir():
        (media / clip.name).hardlink_to(clip)
    return tmp_path / "render"


@pytest.fixture
def environ(database: object, baseline_url: str, root: Path) -> dict[str, str]:
    """The environment of the service and of its workers."""
    return {
        "DATABASE_URL": baseline_url,
        "REDIS_ENABLED": "false",
        "AUTH_DISABLED": "true",
        "DATABASE_POOL_SIZE": "3",
        "RENDER_DIR": str(root),
        "RENDER_LEASE_S": "20",
    }


@pytest.fixture
def ffmpeg_that(tmp_path: Path) -> Callable[[str], str]:
    """An ffmpeg that does something else first, in shell: `exec "$FFMPEG" "$@"` follows, -version always works."""

    def write(script: str) -> str:
        path = tmp_path / "ffmpeg"
        asked = f'[ "$1" = -version ] && exec "{FFMPEG}" -version'
        path.write_text(f'#!/bin/sh\n{asked}\nFFMPEG="{FFMPEG}"\n{script}\nexec "$FFMPEG" "$@"\n')
        path.chmod(0o755)
        return str(path)

    return write
