"""The folder that the service and its workers share: sources, reusable pieces, work under way, outputs.

media/                      sources; we only read here
cache/<key>                 finished scenes and films, named by what they are made of
tmp/<job>-<attempt>/        one attempt's work; a directory whose attempt is over is a dead worker's
outputs/<job>/<outputPath>  what a job has made; written once, never changed
"""

import contextlib
import os
import shutil
from hashlib import blake2b, file_digest
from pathlib import Path
from uuid import UUID

from easymo_platform.runtime.settings import SettingsError
from easymo_platform.video_orchestrator.errors import RenderError
from easymo_platform.video_orchestrator.model import is_confined


class WorkFolder:
    """Paths below one root. Nothing outside of it is read or written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.media = root / "media"
        self._cache = root / "cache"
        self._tmp = root / "tmp"
        self._outputs = root / "outputs"
        self._digests: dict[Path, tuple[tuple[int, ...], str]] = {}

    def prepare(self) -> None:
        """Make the directories. Raises :class:`SettingsError` where that is not possible."""
        try:
            for directory in (self.media, self._cache, self._tmp, self._outputs):
                directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError([f"RENDER_DIR cannot be used as a work folder: {error}."]) from error

    def source(self, name: str) -> Path:
        """The file that a plan calls ``name``. Raises :class:`RenderError` unless it is one, and inside ``media``."""
        path = (self.media / name).resolve() if is_confined(name) else None
        if path is None or not path.is_relative_to(self.media.resolve()):
            raise RenderError(f"{name} is outside of the media folder.", retry=False)
        if not path.is_file():
            raise RenderError(f"There is no file {name} in the media folder.", retry=False)
        return path

    def digest(self, path: Path) -> str:
        """Digest of a source's content; read again only when the file has changed."""
        stat = path.stat()
        state = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        known = self._digests.get(path)
        if known is None or known[0] != state:
            with path.open("rb") as file:
                known = state, file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
            self._digests[path] = known
        return known[1]

    def attempt(self, job_id: UUID, attempt: int) -> Path:
        """Where an attempt works."""
        return self._tmp / f"{job_id}-{attempt}"

    def attempts(self) -> list[tuple[UUID, int, Path]]:
        """Every attempt that has a directory: under way, or left by a worker that died."""
        found = []
        for path in self._tmp.iterdir():
            job_id, _, attempt = path.name.rpartition("-")
            with contextlib.suppress(ValueError):  # nothing of ours
                found.append((UUID(job_id), int(attempt), path))
        return found

    def reuse(self, key: str, path: Path) -> bool:
        """Put the cached piece at ``path``; false when there is none. It stays there if the cache drops it."""
        if path.exists():
            return True
        cached = self._cache / key
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            os.link(cached, path)
            os.utime(cached)
        return path.exists()

    def keep(self, path: Path, key: str) -> None:
        """Cache a finished piece. If another worker was faster, its piece stays."""
        with contextlib.suppress(FileExistsError):
            os.link(path, self._cache / key)

    def publish(self, path: Path, job_id: UUID, name: str) -> str:
        """Make ``path`` the job's output. Returns its path below the root. What was published once is not replaced."""
        output = self._outputs / str(job_id) / name
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.link(path, output)
        except OSError as error:
            raise RenderError(f"The output cannot be stored: {error.strerror}.", retry=True) from error
        return str(output.relative_to(self.root))

    def withdraw(self, job_id: UUID) -> None:
        """Remove the output of a job."""
        shutil.rmtree(self._outputs / str(job_id), ignore_errors=True)

    def trim_cache(self, max_bytes: int) -> None:
        """Drop the longest unused pieces until the rest is within ``max_bytes``."""
        pieces = []
        for path in self._cache.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another worker trims too
                stat = path.stat()
                pieces.append((stat.st_mtime, stat.st_size, path))
        excess = sum(size for _, size, _ in pieces) - max_bytes
        for _, size, path in sorted(pieces):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= size
