"""The ffmpeg commands of a film: one per scene, one to join them. Pure: plans and paths in, argument lists out.

Every number in a filter is computed here and every path is an argument of its own, so that no text of a plan is ever
read as ffmpeg's filter language.
"""

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from easymo_platform.video_orchestrator.model import SAFE_ZONES, Audio, Overlay, Plan, Scene, frames_of

SAMPLE_RATE = 48_000
READ_AHEAD_S = 1.0
"""How much more of a clip is read than a shot needs; its frames are counted, so that nothing of it is shown."""

# Formats that hold pictures or sound themselves. A playlist may name files outside of the media folder.
_FORMATS = "mov,matroska,avi,mpegts,wav,mp3,aac,flac,ogg,gif,png_pipe,jpeg_pipe,webp_pipe"
_INPUT = ("-protocol_whitelist", "file", "-format_whitelist", _FORMATS)
_STILLS = {".jpg": "jpeg_pipe", ".jpeg": "jpeg_pipe", ".png": "png_pipe", ".webp": "webp_pipe"}
_COMMON = ("-hide_banner", "-nostdin", "-loglevel", "error", "-nostats", "-stats_period", "0.5", "-progress", "pipe:1")
_SIDE = {"logo": "right", "lowerThird": "left", "slug": "left", "cta": "centre"}


def scene_command(
    plan: Plan, scene: Scene, locate: Callable[[str], str], output: str, ffmpeg: str = "ffmpeg"
) -> list[str]:
    """Everything of a scene in one pass: trim, scale and pad, concat, overlays, sound.

    Sound is PCM, so that scenes join without the gaps that an encoder's padding would leave.
    """
    frames = frames_of(scene, plan.frame_rate)
    inputs: list[str] = []
    filters: list[str] = []
    for number, (shot, count) in enumerate(zip(scene.shots, frames, strict=True)):
        still = still_format(shot.src)
        cut = ("-ss", f"{shot.start_offset:.6f}", "-t", f"{shot.length_s + READ_AHEAD_S:.6f}")
        inputs += [*_INPUT, *(("-f", still) if still else cut), "-i", locate(shot.src)]
        filters.append(_shot(plan, number, count, still=bool(still)))
    shots = "".join(f"[s{number}]" for number in range(len(frames)))
    filters.append(f"{shots}concat=n={len(frames)}:v=1:a=0[v0]")
    for number, overlay in enumerate(scene.overlays):
        still = still_format(overlay.src)
        inputs += [*_INPUT, *(("-f", still) if still else ()), "-i", locate(overlay.src)]
        filters += _overlay(plan, overlay, len(frames) + number, number)
    samples = sum(frames) * SAMPLE_RATE // plan.frame_rate
    if scene.audio is not None:
        inputs += [*_INPUT, "-i", locate(scene.audio.src)]
    filters.append(_sound(scene.audio, len(frames) + len(scene.overlays), samples))
    maps = ("-map", f"[v{len(scene.overlays)}]", "-map", "[sound]", "-map_metadata", "-1")
    video = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p")
    return [
        *(ffmpeg, *_COMMON, *inputs, "-filter_complex", ";".join(filters), *maps, *video),
        # An overlay that outlasts the scene would make it longer: its frames are counted, and no more are written.
        *("-frames:v", str(sum(frames)), "-c:a", "pcm_s16le", "-f", "mov", "-y", output),
    ]


def film_command(parts: Path, output: str, ffmpeg: str = "ffmpeg") -> list[str]:
    """Join the scenes that the list ``parts`` names: pictures are copied, sound becomes AAC, the index goes first."""
    return [
        *(ffmpeg, *_COMMON, "-protocol_whitelist", "file", "-f", "concat", "-safe", "1", "-i", str(parts)),
        *("-map", "0:v", "-map", "0:a", "-c:v", "copy", "-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart"),
        *("-f", "mp4", "-y", output),
    ]


def parts_list(names: Sequence[str]) -> str:
    """The list that :func:`film_command` reads. ``names`` are files of ours beside it."""
    return "".join(("ffconcat version 1.0\n", *(f"file {name}\n" for name in names)))


def still_format(src: str) -> str:
    """How ffmpeg is told to read a picture file, as one picture and never as a pattern of names; empty for a clip."""
    return _STILLS.get(PurePosixPath(src).suffix.lower(), "")


def _shot(plan: Plan, number: int, frames: int, *, still: bool) -> str:
    """A still is shown for as long as its shot. Pixels that are not square are made so before they are fitted."""
    size = f"{plan.width}:{plan.height}"
    begin = "loop=loop=-1:size=1:start=0," if still else ""
    return (
        f"[{number}:v:0]{begin}fps={plan.frame_rate}:start_time=0,scale='max(2,trunc(iw*sar/2)*2)':ih,setsar=1,"
        f"scale={size}:force_original_aspect_ratio=decrease,"
        f"pad={size}:-1:-1,setsar=1,format=yuv420p,tpad=stop=1:stop_mode=clone,trim=end_frame={frames},"
        f"setpts=PTS-STARTPTS[s{number}]"
    )


def _overlay(plan: Plan, overlay: Overlay, stream: int, number: int) -> list[str]:
    """Shrunk to fit its zone, never enlarged; on the side its type has, against the edge the zone clings to."""
    zone = SAFE_ZONES[overlay.safe_zone_preset_id or plan.safe_zone_preset_id]
    pad_x, pad_y = plan.width * zone.padding_pct // 100, plan.height * zone.padding_pct // 100
    width, height = plan.width - 2 * pad_x, plan.height * zone.height_pct // 100
    x = {"left": f"{pad_x}", "right": f"W-w-{pad_x}", "centre": "(W-w)/2"}[_SIDE[overlay.type]]
    y = f"{pad_y}" if zone.anchor == "top" else f"H-h-{pad_y}"
    begin = overlay.start_time
    until = "" if overlay.duration is None else f"*lt(t,{begin + overlay.duration:.6f})"
    place = f"x={x}:y={y}:eof_action=repeat:enable='gte(t,{begin:.6f}){until}'"
    return [
        f"[{stream}:v:0]scale='max(2,trunc(iw*sar/2)*2)':ih,setsar=1,scale=w='min(iw,{width})':h='min(ih,{height})':force_original_aspect_ratio=decrease,"
        f"setpts=PTS-STARTPTS+{begin:.6f}/TB[o{number}]",
        f"[v{number}][o{number}]overlay={place}[v{number + 1}]",
    ]


def _sound(audio: Audio | None, stream: int, samples: int) -> str:
    end = f"atrim=end_sample={samples}[sound]"
    if audio is None:
        return f"anullsrc=r={SAMPLE_RATE}:cl=stereo,{end}"
    form = f"aresample={SAMPLE_RATE},aformat=sample_fmts=s16:channel_layouts=stereo"
    return f"[{stream}:a:0]{form},volume={audio.gain:.2f}dB,apad,{end}"
