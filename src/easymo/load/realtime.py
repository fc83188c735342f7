"""Punctuality: a timer of the kernel's precision, and a process that nothing of its own gets in the way of."""

import asyncio
import ctypes
import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_PR_SET_PDEATHSIG = 1


class _Itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """Calls back at a point of `time.monotonic_ns()`, within some 50 µs.

    The event loop's own timers are rounded to whole milliseconds, which would put up to 1 ms on every latency; this is
    Linux's timerfd (Python has it from 3.13 on). Elsewhere the loop's timer has to do.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._timer: asyncio.TimerHandle | None = None
        if sys.platform != "linux":
            self._callback, self._loop = callback, asyncio.get_running_loop()
            return
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._setting = _Itimerspec()
        self._setting_address = ctypes.byref(self._setting)
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._expired)

    def set(self, at_ns: int) -> None:
        """Calls back once at `at_ns`, at once if that is past; an earlier setting is forgotten."""
        if sys.platform != "linux":
            if self._timer is not None:
                self._timer.cancel()
            left_s = max(0, at_ns - time.monotonic_ns()) / 1e9
            self._timer = self._loop.call_later(left_s, self._callback)
            return
        self._setting.value_s, self._setting.value_ns = divmod(max(at_ns, 1), 1_000_000_000)  # 0 would mean never
        self._libc.timerfd_settime(self._descriptor, _TFD_TIMER_ABSTIME, self._setting_address, None)

    def close(self) -> None:
        if sys.platform != "linux":
            if self._timer is not None:
                self._timer.cancel()
            return
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _expired(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:  # set anew between the kernel's report and this call
            return
        self._callback()


def die_with_parent() -> None:
    """Lets the kernel end this process with SIGKILL when the thread that started it ends (Linux: PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def undisturbed() -> Iterator[str]:
    """Gives this process all that it may have for being on time, and takes it back at the end.

    Real-time priority where the system allows it, else a better nice value, else nothing: which one is what the context
    yields (`"fifo"`, `"nice"` or `"normal"`). The garbage collector rests, and as many files may be open as the system
    allows at all.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.collect()
    gc.freeze()
    gc.disable()
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    priority = _raise_priority(nice)
    try:
        yield priority
    finally:
        if priority == "fifo":
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        elif priority == "nice":
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        gc.enable()
        gc.unfreeze()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _raise_priority(nice: int) -> str:
    if hasattr(os, "sched_setscheduler"):  # Linux
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            pass
        else:
            return "fifo"
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice - 10)
    except PermissionError:
        return "normal"
    return "nice"
