"""What a comparison compares: the sides. An arm of the judge's own and a deployment that already runs are two kinds."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from easymo.proof.verdict.measurement import Resources

_UNSEEN = Resources(None, None, None, None)


class Use(Protocol):
    """What a side used while it was watched."""

    def resources(self, requests: int, traffic_s: float) -> Resources:
        """Per request and per second of traffic."""


class Side(Protocol):
    """One configuration under load."""

    @property
    def name(self) -> str:
        """Its key in `verdict.json`."""

    @property
    def title(self) -> str:
        """What sentences call it."""

    def urls(self) -> Mapping[str, str]:
        """Base URLs of its processes by name."""

    def watch(self) -> AbstractAsyncContextManager[Use]:
        """Watch what it uses during the block."""

    def check(self) -> None:
        """Raise :class:`RunVoid` when one of its processes or servers has died."""

    async def restart(self) -> None:
        """Begin anew without a backlog, where that is ours to do."""

    def empty_cache(self) -> None:
        """Forget what its cache holds."""


class Deployment:
    """A system that already runs: nothing of it can be watched, and nothing is touched."""

    def __init__(self, name: str, urls: Mapping[str, str]) -> None:
        self.name, self.title, self._urls = name, f"the deployment {name}", urls

    def urls(self) -> Mapping[str, str]:
        return self._urls

    def watch(self) -> "Deployment":
        return self

    async def __aenter__(self) -> "Deployment":
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    def resources(self, requests: int, traffic_s: float) -> Resources:
        return _UNSEEN

    def check(self) -> None:
        return

    async def restart(self) -> None:
        return

    def empty_cache(self) -> None:
        return
