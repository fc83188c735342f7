"""The plan for a cluster: the note's kubectl commands, for every service, each safe to run again."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from easymo_platform.operations.errors import OperationError
from easymo_platform.operations.rollback.plan import Action
from easymo_platform.operations.serve import SERVICES

AUTOSCALERS: Mapping[str, str] = {
    "voice-bridge-hpa": "voice-bridge",
    "video-orchestrator-hpa": "video-worker",
    "whatsapp-webhook-hpa": "whatsapp-webhook",
    "agent-core-hpa": "agent-core",
}
"""Autoscaler and the deployment it scales, as in k8s/autoscaling/hpa.yaml."""

_REVISION = "deployment.kubernetes.io/revision"
_NOTE = "easymo.dev/rolled-back"
_WAIT_S = 300
_COMMAND_S = _WAIT_S + 30


class Kubectl:
    """kubectl with the context and namespace of this rollback."""

    def __init__(self, context: str, namespace: str) -> None:
        self.context = context
        self.namespace = namespace

    def line(self, *arguments: str) -> str:
        """The command as a person would type it."""
        return " ".join(("kubectl", *self._whole(arguments)))

    def run(self, *arguments: str) -> str:
        """What it prints. Raises OperationError with its complaint."""
        return _run(*self._whole(arguments))

    def deployment(self, name: str) -> Any:
        """The deployment as the cluster has it. Raises OperationError."""
        return json.loads(self.run("get", f"deployment/{name}", "-o", "json"))

    def _whole(self, arguments: Sequence[str]) -> tuple[str, ...]:
        return (*arguments, "-n", self.namespace, "--context", self.context)


def current_context() -> str | None:
    """The context that kubectl would use, or None without kubectl or without one."""
    try:
        return _run("config", "current-context").strip() or None
    except OperationError:
        return None


def application(kubectl: Kubectl) -> list[Action]:
    """Every deployment back to the revision before, all at once; then wait for each."""
    undo = [
        Action(
            "application",
            f"undo {name}",
            (kubectl.line("rollout", "undo", f"deployment/{name}"),),
            _undo(kubectl, name),
            remark=_undo_remark(kubectl.deployment(name)),
        )
        for name in SERVICES
    ]
    return [*undo, *(_wait("application", kubectl, name, _confirm_undone(kubectl, name)) for name in SERVICES)]


def autoscaler(kubectl: Kubectl, manifests: Path | None) -> list[Action]:
    """The autoscalers of before (``manifests``); without them none, and as many replicas as there are now."""
    if manifests is not None:
        arguments = ("apply", "-f", str(manifests))
        perform = _plain(kubectl, arguments)
        return [Action("autoscaler", f"apply {manifests}", (kubectl.line(*arguments),), perform)]
    return [
        Action(
            "autoscaler",
            f"fix {deployment}",
            (
                kubectl.line("delete", "hpa", hpa, "--ignore-not-found"),
                kubectl.line("scale", f"deployment/{deployment}", "--replicas=<as many as it has then>"),
            ),
            _fix(kubectl, hpa, deployment),
        )
        for hpa, deployment in AUTOSCALERS.items()
    ]


def cache(kubectl: Kubectl) -> list[Action]:
    """The cache off in every service, then everything that it holds dropped."""
    off = []
    for name in SERVICES:
        arguments = ("set", "env", f"deployment/{name}", "REDIS_ENABLED=false")
        off.append(Action("cache", f"off in {name}", (kubectl.line(*arguments),), _plain(kubectl, arguments)))
    # Options of kubectl after -- would be the command's.
    where = (f"--namespace={kubectl.namespace}", f"--context={kubectl.context}")
    flush = ("exec", *where, "deployment/voice-bridge", "--", "python", "-m", "easymo_platform", "flush-cache", "--yes")
    drop = Action("cache", "flush", (" ".join(("kubectl", *flush)),), lambda: _run(*flush).strip())
    return [*off, *(_wait("cache", kubectl, name) for name in SERVICES), drop]


def _undo_remark(deployment: Any) -> str:
    revision = _revision(deployment)
    if _is_undone(deployment):
        return f"undone already: revision {revision} runs"
    return f"revision {revision} runs now; the one before it comes back"


def _annotations(deployment: Any) -> Mapping[str, str]:
    return deployment["metadata"].get("annotations") or {}


def _revision(deployment: Any) -> str:
    return _annotations(deployment).get(_REVISION, "unknown")


def _is_undone(deployment: Any) -> bool:
    """Whether an earlier run took back what runs now, so that an undo would bring the bad revision back.

    The note is `BAD` before the undo and `BAD to GOOD` once `GOOD` runs; a later release has a third revision.
    """
    bad, _, good = _annotations(deployment).get(_NOTE, "").partition(" to ")
    revision = _revision(deployment)
    under_way = deployment["metadata"].get("generation") != deployment.get("status", {}).get("observedGeneration")
    return bool(bad) and (under_way if revision == bad else good in ("", revision))


def _undo(kubectl: Kubectl, name: str) -> Callable[[], str]:
    """Note the bad revision on the Deployment, then undo it: whoever runs this again, from wherever, sees the note."""

    def perform() -> str:
        deployment = kubectl.deployment(name)
        revision = _revision(deployment)
        if _is_undone(deployment):
            return f"undone already: revision {revision} runs"
        kubectl.run("annotate", f"deployment/{name}", f"{_NOTE}={revision}", "--overwrite")
        return kubectl.run("rollout", "undo", f"deployment/{name}").strip()

    return perform


def _confirm_undone(kubectl: Kubectl, name: str) -> Callable[[], str]:
    """Wait for the revision that came back and complete the note, so that a later release is told from it."""

    def perform() -> str:
        kubectl.run(*_rollout_status(name))
        deployment = kubectl.deployment(name)
        bad, revision = _annotations(deployment).get(_NOTE, "").partition(" to ")[0], _revision(deployment)
        kubectl.run("annotate", f"deployment/{name}", f"{_NOTE}={bad} to {revision}", "--overwrite")
        return f"revision {revision} runs in place of {bad}"

    return perform


def _fix(kubectl: Kubectl, hpa: str, deployment: str) -> Callable[[], str]:
    def perform() -> str:
        kubectl.run("delete", "hpa", hpa, "--ignore-not-found")
        replicas = int(kubectl.deployment(deployment)["spec"].get("replicas", 1))
        kubectl.run("scale", f"deployment/{deployment}", f"--replicas={replicas}")
        return f"no autoscaler; {replicas} replicas"

    return perform


def _wait(step: str, kubectl: Kubectl, name: str, perform: Callable[[], str] | None = None) -> Action:
    arguments = _rollout_status(name)
    perform = perform or _plain(kubectl, arguments)
    return Action(step, f"wait for {name} ({step})", (kubectl.line(*arguments),), perform)


def _rollout_status(name: str) -> tuple[str, ...]:
    return ("rollout", "status", f"deployment/{name}", f"--timeout={_WAIT_S}s")


def _plain(kubectl: Kubectl, arguments: tuple[str, ...]) -> Callable[[], str]:
    return lambda: (kubectl.run(*arguments).strip().splitlines() or ["done"])[-1]


def _run(*arguments: str) -> str:
    try:
        done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, check=False, timeout=_COMMAND_S)
    except FileNotFoundError as error:
        raise OperationError("kubectl is not installed, so that no cluster can be reached: install it.") from error
    except subprocess.TimeoutExpired as error:
        raise OperationError(f"`kubectl {' '.join(arguments)}` did not end within {_COMMAND_S} s.") from error
    if done.returncode != 0:
        raise OperationError(f"`kubectl {' '.join(arguments)}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
