"""Plans, what a job looks like from outside, and the arithmetic of scenes. Pure."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from msgspec import Meta, Struct

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
SafeZone = Literal["safe-top", "safe-bottom", "safe-lower-third"]
Rate = Literal[24, 25, 30, 50, 60]
"""Frames per second that divide 48 000, so that a scene's sound is exactly as long as its pictures."""

MAX_ATTEMPTS = 3
NAME_MOST_BYTES = 255
"""What file systems take as one name."""

MAX_PLAN_S = 3600.0

Name = Annotated[str, Meta(min_length=1, max_length=128)]
RelativePath = Annotated[str, Meta(min_length=1, max_length=512)]
Seconds = Annotated[float, Meta(ge=0, le=MAX_PLAN_S)]


class Strict(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Part of a plan. A field that we would not act on is refused, not ignored."""


class Shot(Strict, frozen=True):
    """A stretch of a clip, in seconds: from ``start_offset`` to the earlier of ``trim_to`` and ``duration``."""

    id: Name
    src: RelativePath
    duration: Seconds
    start_offset: Seconds = 0.0
    trim_to: Seconds | None = None

    def __post_init__(self) -> None:
        if self.trim_to is not None and self.trim_to < self.start_offset:
            raise ValueError(f"shot {self.id}: its trims overlap, trimTo lies before startOffset")
        if self.length_s <= 0:
            raise ValueError(f"shot {self.id}: nothing is left between startOffset and the end")

    @property
    def length_s(self) -> float:
        """What is left of the clip after trimming."""
        end = self.duration if self.trim_to is None else min(self.trim_to, self.duration)
        return max(0.0, end - self.start_offset)


class Audio(Strict, frozen=True):
    """The sound of a scene: cut to its length, silence after its end. ``gain`` in decibels."""

    src: RelativePath
    type: Literal["voiceover", "music", "dialog"]
    gain: Annotated[float, Meta(ge=-60, le=20)] = 0.0


class Overlay(Strict, frozen=True):
    """A picture or clip laid over a scene inside a safe zone, from ``start_time`` for ``duration`` seconds."""

    id: Name
    type: Literal["logo", "lowerThird", "cta", "slug"]
    src: RelativePath
    safe_zone_preset_id: SafeZone | None = None
    start_time: Seconds = 0.0
    duration: Annotated[float, Meta(gt=0, le=MAX_PLAN_S)] | None = None


class Scene(Strict, frozen=True):
    """Shots one after the other, under one sound and under the same overlays."""

    id: Name
    order: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    shots: Annotated[list[Shot], Meta(min_length=1, max_length=50)]
    audio: Audio | None = None
    overlays: Annotated[list[Overlay], Meta(max_length=20)] = []

    def __post_init__(self) -> None:
        late = [overlay.id for overlay in self.overlays if overlay.start_time >= self.length_s]
        if late:
            raise ValueError(f"scene {self.id}: overlay {late[0]} starts after the scene has ended")

    @property
    def length_s(self) -> float:
        """Sum of what is left of its shots."""
        return sum(shot.length_s for shot in self.shots)


class Plan(Strict, frozen=True):
    """A film to make: its scenes by ``order``, every frame ``width`` × ``height``."""

    id: Name
    safe_zone_preset_id: SafeZone
    output_path: RelativePath
    scenes: Annotated[list[Scene], Meta(min_length=1, max_length=200)]
    width: Annotated[int, Meta(ge=128, le=3840, multiple_of=2)] = 1280
    height: Annotated[int, Meta(ge=128, le=2160, multiple_of=2)] = 720
    frame_rate: Rate = 30
    metadata: dict[str, Any] = {}

    def __post_init__(self) -> None:
        for what, values in (("id", {s.id for s in self.scenes}), ("order", {s.order for s in self.scenes})):
            if len(values) < len(self.scenes):
                raise ValueError(f"two scenes have the same {what}")
        for field, path in (("outputPath", self.output_path), *self.sources()):
            if not is_confined(path):
                raise ValueError(f"{field}: a path is relative and does not leave its folder")
            if any(len(part.encode("utf-8", "replace")) > NAME_MOST_BYTES for part in PurePosixPath(path).parts):
                raise ValueError(f"{field}: a file or folder name has more than {NAME_MOST_BYTES} bytes")
        if not self.output_path.endswith(".mp4"):
            raise ValueError("outputPath: the output is an .mp4")
        if sum(scene.length_s for scene in self.scenes) > MAX_PLAN_S:
            raise ValueError(f"the film would be longer than {MAX_PLAN_S:.0f} s")

    def sources(self) -> Iterator[tuple[str, str]]:
        """Every source with the field that names it."""
        for number, scene in enumerate(self.scenes):
            where = f"scenes[{number}]"
            yield from ((f"{where}.shots[{at}].src", shot.src) for at, shot in enumerate(scene.shots))
            yield from ((f"{where}.overlays[{at}].src", overlay.src) for at, overlay in enumerate(scene.overlays))
            if scene.audio is not None:
                yield f"{where}.audio.src", scene.audio.src

    def in_order(self) -> list[Scene]:
        """The scenes as they follow one another in the film."""
        return sorted(self.scenes, key=lambda scene: scene.order)


def is_confined(path: str) -> bool:
    """Whether ``path``, taken below some folder, stays there as far as its text says (a link may still lead out)."""
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and pure.name != "" and "\0" not in path


def frames_of(scene: Scene, frame_rate: int) -> list[int]:
    """Frames of each shot. Rounded on the scene's own time, so that the scene is right to within half a frame."""
    ends, at = [0], 0.0
    for shot in scene.shots:
        at += shot.length_s
        ends.append(max(ends[-1] + 1, round(at * frame_rate)))
    return [end - begin for begin, end in pairwise(ends)]


class Zone(NamedTuple):
    """A safe zone: distance from the frame's edges and height, in percent, and the edge it clings to."""

    padding_pct: int
    height_pct: int
    anchor: Literal["top", "bottom"]


SAFE_ZONES: dict[str, Zone] = {
    "safe-top": Zone(5, 25, "top"),
    "safe-bottom": Zone(6, 28, "bottom"),
    "safe-lower-third": Zone(8, 22, "bottom"),
}


class Options(Strict, frozen=True):
    """How to treat the job; of two waiting jobs the one with the higher priority is rendered first."""

    priority: Annotated[int, Meta(ge=0, le=100)] = 50


class RenderRequest(Strict, frozen=True):
    """Body of ``POST /render``."""

    plan: Plan | None = None
    options: Options = Options()


class Accepted(Struct, frozen=True):
    """The job that a request became."""

    job_id: UUID
    status: JobStatus


class RenderAnswer(Struct, frozen=True):
    """Answer to a request that made, or had made, a job."""

    data: Accepted
    ok: bool = True


class SceneState(Struct, frozen=True):
    """A scene of a job; ``duration`` in seconds, once it is rendered."""

    scene_id: str
    status: JobStatus
    duration: float | None


class JobSummary(Struct, frozen=True):
    """A job as it stands in lists. ``progress`` in percent, ``error`` the reason of a failure."""

    id: UUID
    plan_id: str
    status: JobStatus
    priority: int
    attempts: int
    progress: float
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Job(JobSummary, frozen=True):
    """A job with its scenes and, once it succeeded, where its output is until that is removed."""

    scenes: list[SceneState]
    output: str | None


class JobList(Struct, frozen=True):
    """Jobs, newest first. ``next`` is the ``before`` of the following page; ``None`` on the last."""

    jobs: list[JobSummary]
    next: UUID | None


class Claimed(Struct, frozen=True):
    """A job that a worker holds for the length of its lease. ``plan`` as it was stored; ``waited_s`` since then."""

    id: UUID
    plan: Any
    attempt: int
    worker_id: str
    waited_s: float


class Queue(Struct, frozen=True):
    """What waits: how many jobs, for how long the oldest of them, and how many are being rendered."""

    depth: int
    age_s: float
    running: int
