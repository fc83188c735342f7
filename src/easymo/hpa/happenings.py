"""The words of the command line for what happens during a simulation: `10m`, `9@10m`, `cpu@1m-3m`, `200%:50s`."""

import re
from collections.abc import Sequence
from typing import Any

from easymo.hpa.conditions import Stretch
from easymo.hpa.errors import HpaError

_TIME = r"(\d+(?:\.\d+)?[smh]?)"
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def duration_s(text: str) -> float:
    """Seconds of `90`, `90s`, `1.5m` or `2h`."""
    return float(text.rstrip("smh")) * _SECONDS.get(text[-1], 1)


def _read(option: str, text: str, pattern: str, example: str) -> tuple[str, ...]:
    found = re.fullmatch(pattern, text)
    if found is None:
        raise HpaError(f"--{option} {text}: write it like --{option} {example}; a time is 90, 90s, 10m or 2h.")
    return found.groups()


def happenings(
    *,
    rollouts: Sequence[str] | None = None,
    resizes: Sequence[str] | None = None,
    failures: Sequence[str] | None = None,
    cluster_full: Sequence[str] | None = None,
    startup_cpu: str | None = None,
) -> dict[str, Any]:
    """The fields of `Conditions` that these words mean.

    Raises:
        HpaError: for a word of another form.
    """
    fields: dict[str, Any] = {
        "rollouts": tuple(
            duration_s(_read("rollout", text, f"(?:at=)?{_TIME}", "at=10m")[0]) for text in rollouts or ()
        )
    }
    sizes = [_read("resize", text, rf"(\d+)@{_TIME}", "9@10m") for text in resizes or ()]
    fields["resizes"] = tuple((duration_s(at), int(size)) for size, at in sizes)
    failed = [_read("fail", text, rf"(\S+)@{_TIME}-{_TIME}", "cpu@10m-20m") for text in failures or ()]
    fields["failures"] = tuple((name, Stretch(duration_s(since), duration_s(until))) for name, since, until in failed)
    full = [_read("cluster-full", text, f"{_TIME}-{_TIME}", "10m-20m") for text in cluster_full or ()]
    fields["cluster_full"] = tuple(Stretch(duration_s(since), duration_s(until)) for since, until in full)
    if startup_cpu is not None:
        percent, lasts = _read("startup-cpu", startup_cpu, rf"(\d+(?:\.\d+)?)%:{_TIME}", "200%:50s")
        fields |= {"startup_cpu_percent": float(percent), "startup_cpu_s": duration_s(lasts)}
    return fields
