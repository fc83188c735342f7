"""The plan for the platform that `up` runs on this machine: the same steps, as far as one machine has them."""

from collections.abc import Mapping

from easymo_platform.operations.flush import flush
from easymo_platform.operations.local.control import CONTROL, restart
from easymo_platform.operations.rollback.plan import Action
from easymo_platform.operations.serve import SERVICES

_RESTART = "python -m easymo_platform restart"


def application(here: Mapping[str, str]) -> list[Action]:
    """A restart of every process: one checkout has one revision."""
    return [
        Action(
            "application",
            "restart",
            (_RESTART,),
            lambda: _restart(here, {}),
            remark="a process restart: this checkout is the only revision here; a cluster goes back to the one before",
        )
    ]


def autoscaler() -> list[Action]:
    """Nothing to do."""
    return [
        Action(
            "autoscaler",
            "none",
            (),
            lambda: "nothing to do",
            remark="nothing scales here: one process of each service, before and after",
        )
    ]


def cache(here: Mapping[str, str]) -> list[Action]:
    """The cache off in every process, then everything that it holds dropped."""
    off = Action(
        "cache",
        "off",
        (f"{_RESTART} --set REDIS_ENABLED=false",),
        lambda: _restart(here, {"REDIS_ENABLED": "false"}),
    )
    url = here.get("REDIS_URL")
    if not url:
        return [off]

    def drop() -> str:
        return f"{flush(url)} keys dropped"

    return [off, Action("cache", "flush", ("python -m easymo_platform flush-cache --yes",), drop)]


def _restart(here: Mapping[str, str], variables: Mapping[str, str]) -> str:
    seconds: list[float] = []
    restart(here[CONTROL], list(SERVICES), variables, lambda _, taken: seconds.append(taken))
    return f"{len(seconds)} services, each new process ready before the old one left"
