"""Sources for renders, made with ffmpeg, and what there is to see and hear in a film."""

import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg  # type: ignore[import-untyped]

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def make_clips(folder: Path) -> Path:
    """blue.mp4 and .ts (3 s, 25/s), green.mkv (2 s, portrait, 30/s), test.mp4 (4 s), tone.wav (1 s), logo.png (red).

    still.jpg (green), wide_pixels.mp4 (1 s, 90 x 180 pixels shown as 320 x 180), and text.mp4, which is no video.
    """
    _ffmpeg("-f", "lavfi", "-i", "color=blue:s=640x360:r=25:d=3", "-f", "lavfi", "-i", "sine=d=3", folder / "blue.mp4")
    _ffmpeg("-i", folder / "blue.mp4", "-c", "copy", folder / "blue.ts")
    _ffmpeg("-f", "lavfi", "-i", "color=lime:s=270x480:r=30:d=2", folder / "green.mkv")
    _ffmpeg("-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=4", folder / "test.mp4")
    _ffmpeg("-f", "lavfi", "-i", "sine=frequency=440:d=1", folder / "tone.wav")
    _ffmpeg("-f", "lavfi", "-i", "color=red:s=100x40", "-frames:v", "1", folder / "logo.png")
    _ffmpeg("-f", "lavfi", "-i", "color=lime:s=320x180", "-frames:v", "1", folder / "still.jpg")
    _ffmpeg("-f", "lavfi", "-i", "color=lime:s=90x180:r=30:d=1", "-vf", "setsar=32/9", folder / "wide_pixels.mp4")
    (folder / "text.mp4").write_text("This is no video.\n")
    return folder


def _ffmpeg(*arguments: str | Path) -> None:
    subprocess.run([FFMPEG, "-v", "error", "-nostdin", *arguments], check=True)


@dataclass
class Film:
    """A decoded film: frame times in seconds, frames, loudness (mean of |sample|, 0 to 1) per tenth of a second."""

    width: int
    height: int
    streams: list[str]
    times: list[float]
    frames: list[av.VideoFrame]
    duration_s: float
    sound_s: float
    loudness: list[float]

    def colour(self, at_s: float, x: int, y: int) -> str:
        """The pixel's colour, in a word."""
        index = max(i for i, time in enumerate(self.times) if time <= at_s + 1e-6)
        plane = self.frames[index].reformat(format="rgb24").planes[0]
        start = y * plane.line_size + 3 * x
        red, green, blue = (value > 127 for value in bytes(plane)[start : start + 3])
        pixel = (red, green, blue)
        names = {(True, False, False): "red", (False, True, False): "green", (False, False, True): "blue"}
        return names.get(pixel, "black" if pixel == (False, False, False) else "other")


def look_at(path: Path) -> Film:
    """Decode a film completely."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = list(container.decode(video=0))
        times = [_seconds(frame.pts, frame.time_base) for frame in frames]
        kinds: list[str] = [stream.type for stream in container.streams]
        size, duration = (video.width, video.height), _seconds(video.duration, video.time_base)
    samples, rate = _samples(path)
    tenth = rate // 10
    loudness = [
        sum(abs(value) for value in samples[at : at + tenth : 7]) / max(1, len(samples[at : at + tenth : 7])) / 32768
        for at in range(0, len(samples), tenth)
    ]
    return Film(*size, kinds, times, frames, duration, len(samples) / rate, loudness)


def _seconds(ticks: int | None, time_base: Fraction | None) -> float:
    assert ticks is not None
    assert time_base
    return float(ticks * time_base)


def _samples(path: Path) -> tuple[memoryview, int]:
    """The first channel as 16-bit numbers."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000)
        pieces = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
        raw = b"".join(bytes(piece.planes[0])[: piece.samples * 2] for piece in pieces)
    return memoryview(raw).cast("h"), 48_000
