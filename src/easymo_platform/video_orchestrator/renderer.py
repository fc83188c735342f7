"""From a plan to a film: scenes in parallel, each reused if it was rendered before, then joined."""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from pathlib import Path
from time import perf_counter

from prometheus_client import Histogram

from easymo_platform.runtime.settings import SettingsError
from easymo_platform.video_orchestrator.commands import film_command, parts_list, scene_command
from easymo_platform.video_orchestrator.errors import RenderError
from easymo_platform.video_orchestrator.folder import WorkFolder
from easymo_platform.video_orchestrator.model import Plan, Scene, frames_of
from easymo_platform.video_orchestrator.process import run_ffmpeg
from easymo_platform.video_orchestrator.settings import VideoSettings


class Progress:
    """How much of a plan is rendered. ``scene_done`` is awaited with a scene's id."""

    def __init__(self, plan: Plan, scene_done: Callable[[str], Awaitable[None]]) -> None:
        self.scene_done = scene_done
        self._frames = sum(sum(frames_of(scene, plan.frame_rate)) for scene in plan.scenes)
        self._done: dict[str, int] = {}

    def reached(self, scene_id: str, frames: int) -> None:
        """A scene has come to so many frames."""
        self._done[scene_id] = frames

    @property
    def percent(self) -> float:
        """0 to 100, in whole percent."""
        return min(100.0, sum(self._done.values()) * 100 // self._frames)


def version_of(ffmpeg: str) -> str:
    """What ``ffmpeg`` says it is. Raises :class:`SettingsError` when it says nothing."""
    try:
        asked = subprocess.run([ffmpeg, "-version"], capture_output=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise SettingsError([f"FFMPEG cannot be run ({error}): no job could be rendered."]) from error
    return asked.stdout.decode(errors="replace").partition("\n")[0]


class Renderer:
    """Renders plans with one ffmpeg. ``seconds`` is observed per stage: ``scene`` and ``film``, reused ones too."""

    def __init__(self, folder: WorkFolder, settings: VideoSettings, seconds: Histogram) -> None:
        self._folder = folder
        self._ffmpeg = settings.find_ffmpeg()
        self._version = version_of(self._ffmpeg)
        self._turns = asyncio.Semaphore(settings.render_scenes_at_once)
        self._timeout_s = settings.render_timeout_s
        self._seconds = seconds

    async def render(self, plan: Plan, work: Path, progress: Progress) -> Path:
        """Make the film of ``plan`` in ``work``, a directory that is not there yet. Returns its path.

        Raises:
            RenderError: a source is missing or no film can be made of it, ffmpeg failed, the disk is full.
        """
        try:
            return await self._render(plan, work, progress)
        except* RenderError as errors:
            error: BaseException = errors
        except* OSError as errors:
            error = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, OSError):
            raise RenderError(f"The work folder failed: {error.strerror or error}.", retry=True) from error
        raise error

    async def _render(self, plan: Plan, work: Path, progress: Progress) -> Path:
        work.mkdir()
        async with asyncio.TaskGroup() as group:
            pieces = [group.create_task(self._scene(plan, scene, work, progress)) for scene in plan.in_order()]
        keys = [piece.result() for piece in pieces]
        parts, film = work / "parts.txt", work / "film.mp4"
        parts.write_text(parts_list(keys))
        key = self._key(film_command(Path(), ""), keys)
        with self._seconds.labels("video-worker", "film").time():
            if not self._folder.reuse(key, film):
                await run_ffmpeg(film_command(parts, str(film), self._ffmpeg), work, self._timeout_s)
                self._folder.keep(film, key)
        return film

    async def _scene(self, plan: Plan, scene: Scene, work: Path, progress: Progress) -> str:
        """Render or reuse one scene. Returns its key, which is the name of its file in ``work``."""
        sources = {name: self._folder.source(name) for name in _sources(scene)}

        def contents() -> list[str]:
            return [self._folder.digest(source) for source in sources.values()]

        digests = await asyncio.to_thread(contents)
        numbers = {name: str(number) for number, name in enumerate(sources)}
        key = self._key(scene_command(plan, scene, numbers.__getitem__, ""), digests)
        path, expected = work / key, sum(frames_of(scene, plan.frame_rate))
        async with self._turns:
            started = perf_counter()
            if not self._folder.reuse(key, path):
                draft = work / f"{key}.{scene.order}"
                command = scene_command(plan, scene, lambda name: str(sources[name]), str(draft), self._ffmpeg)
                written = await self._pass(scene, command, work, progress)
                if written != expected:
                    why = "a clip ends before its plan says" if written < expected else "ffmpeg wrote too many"
                    raise RenderError(f"Scene {scene.id} has {written} of {expected} frames: {why}.", retry=False)
                if digests != await asyncio.to_thread(contents):
                    raise RenderError(f"A source of scene {scene.id} changed while it was rendered.", retry=True)
                draft.replace(path)
                self._folder.keep(path, key)
            self._seconds.labels("video-worker", "scene").observe(perf_counter() - started)
        progress.reached(scene.id, expected)
        await progress.scene_done(scene.id)
        return key

    async def _pass(self, scene: Scene, command: list[str], work: Path, progress: Progress) -> int:
        try:
            return await run_ffmpeg(command, work, self._timeout_s, lambda frames: progress.reached(scene.id, frames))
        except RenderError as error:
            raise RenderError(f"Scene {scene.id}: {error}", retry=error.retry) from error

    def _key(self, recipe: list[str], contents: list[str]) -> str:
        """Names a piece by all that decides its content: the command, what it reads, and which ffmpeg."""
        return blake2b(json.dumps([self._version, recipe, contents]).encode(), digest_size=20).hexdigest()


def _sources(scene: Scene) -> list[str]:
    names = [shot.src for shot in scene.shots] + [overlay.src for overlay in scene.overlays]
    return [*dict.fromkeys(names + ([scene.audio.src] if scene.audio else []))]
