"""Running ffmpeg: in a process group of its own, with progress, a time limit, and an end that cannot be missed."""

import asyncio
import contextlib
import ctypes
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Sequence
from pathlib import Path

from easymo_platform.video_orchestrator.errors import RenderError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOG_BYTES = 4_000
_FULL = "No space left on device"
_ADDRESS = re.compile(r"\[[^\]]* @ 0x[0-9a-f]+\] ")

_libc = ctypes.CDLL(None)


async def run_ffmpeg(
    command: Sequence[str], folder: Path, timeout_s: float, progress: Callable[[int], None] | None = None
) -> int:
    """Run a command of :mod:`~easymo_platform.video_orchestrator.commands` in ``folder``. Returns the frames written.

    ``progress`` is called with the frames so far, about twice a second. When the caller is cancelled, the time is up or
    this process dies, ffmpeg and whatever it started are killed.

    Raises:
        RenderError: ffmpeg cannot be started, failed, or took longer than ``timeout_s``.
    """
    parent = os.getpid()

    def end_with_parent() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
    except OSError as error:
        raise RenderError(f"ffmpeg cannot be started: {error.strerror}.", retry=True) from error
    try:
        async with asyncio.timeout(timeout_s):
            frames, log, code = await asyncio.gather(
                _follow(process.stdout, progress), _last_of(process.stderr), process.wait()
            )
    except TimeoutError as error:
        raise RenderError(f"ffmpeg took longer than {timeout_s:g} s and was stopped.", retry=True) from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code != 0:
        raise _failure(code, log, folder)
    return frames


async def _follow(stream: asyncio.StreamReader | None, progress: Callable[[int], None] | None) -> int:
    assert stream is not None
    frames = 0
    async for line in stream:
        key, _, value = line.partition(b"=")
        if key == b"frame" and value.strip().isdigit():
            frames = int(value)
            if progress is not None:
                progress(frames)
    return frames


async def _last_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    kept = b""
    while piece := await stream.read(65_536):
        kept = (kept + piece)[-_LOG_BYTES:]
    return kept.decode(errors="replace")


def _failure(code: int, log: str, folder: Path) -> RenderError:
    """What to say about an exit code, with ffmpeg's own last words, without addresses and our folders."""
    root = str(folder.parents[1])
    words = _ADDRESS.sub("", log).replace(f"{root}/media/", "").replace(root, "")
    lines = [line.strip() for line in words.splitlines() if line.strip()][:3]
    if _FULL in log:
        return RenderError(f"The disk is full: {_FULL}. Free some space below RENDER_DIR.", retry=True)
    if code < 0:
        return RenderError(f"ffmpeg was killed by {signal.Signals(-code).name}.", retry=True)
    return RenderError(f"ffmpeg failed: {' '.join(lines) or f'exit code {code}'}", retry=False)
