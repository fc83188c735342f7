"""kubectl for tests: a program that keeps a small cluster in a file and understands what a rollback says to it."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from easymo_platform.operations.rollback.cluster import AUTOSCALERS
from easymo_platform.operations.serve import SERVICES

_PROGRAM = """\
#!{python}
import json, sys
from pathlib import Path
file = Path({file!r})
cluster = json.loads(file.read_text())
arguments = [a for a in sys.argv[1:] if a not in ("-n", "--context", "production", "test")]
line = " ".join(arguments)
if arguments[:1] != ["get"]:
    cluster["log"].append(line)
found = [name for name in cluster["deployments"] if f"deployment/{{name}}" in arguments]
deployment = cluster["deployments"][found[0]] if found else None
after = cluster["fail_after"] if cluster["fail_on"] and line.startswith(cluster["fail_on"]) else None
if line.startswith(cluster["fail_on"] or "\\0") and not after:
    cluster["fail_on"] = ""
    file.write_text(json.dumps(cluster))
    sys.exit("error: the connection to the server was lost")
if line.startswith("rollout undo"):
    deployment["generation"] += 1
    deployment["image"], deployment["before"] = deployment["before"], deployment["image"]
    if not cluster["lags"]:
        deployment["revision"] += 1
        deployment["observed"] = deployment["generation"]
elif line.startswith("rollout status") and cluster["lags"]:
    file.write_text(json.dumps(cluster))
    sys.exit("error: timed out waiting for the condition")
elif line.startswith("annotate"):
    deployment["note"] = arguments[2].partition("=")[2]
elif line.startswith("get"):
    annotations = {{"deployment.kubernetes.io/revision": str(deployment["revision"])}}
    if deployment["note"]:
        annotations["easymo.dev/rolled-back"] = deployment["note"]
    metadata = {{"annotations": annotations, "generation": deployment["generation"]}}
    status = {{"observedGeneration": deployment["observed"]}}
    print(json.dumps({{"metadata": metadata, "spec": {{"replicas": deployment["replicas"]}}, "status": status}}))
elif line.startswith("delete hpa"):
    cluster["autoscalers"] = [name for name in cluster["autoscalers"] if name not in arguments]
elif line.startswith("set env"):
    deployment["redis"] = arguments[-1]
elif line == "config current-context":
    print("test")
if after:
    cluster["fail_on"] = ""
file.write_text(json.dumps(cluster))
if after:
    sys.exit("error: the connection to the server was lost")
"""


class Cluster:
    """The cluster, and the PATH on which its kubectl is found."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "cluster.json"
        deployments = {
            name: {"image": "new", "before": "old", "replicas": 4, "redis": "REDIS_ENABLED=true", "note": ""}
            | {"revision": 7, "generation": 12, "observed": 12}
            for name in SERVICES
        }
        state = {"deployments": deployments, "autoscalers": list(AUTOSCALERS), "log": [], "fail_on": "", "lags": False}
        self._write(state)
        program = folder / "kubectl"
        program.write_text(_PROGRAM.format(python=sys.executable, file=str(self._file)))
        program.chmod(0o755)
        self.path = f"{folder}:{os.environ['PATH']}"

    def fail(self, command: str, *, after: bool) -> None:
        """The next command that begins so fails, before or after it took effect."""
        self._write({**self.state, "fail_on": command, "fail_after": after})

    def release(self, name: str, image: str) -> None:
        """A new version of one service is deployed."""
        state = self.state
        deployment = state["deployments"][name]
        deployment |= {"image": image, "before": deployment["image"], "revision": deployment["revision"] + 1}
        deployment |= {"generation": deployment["generation"] + 1, "observed": deployment["generation"] + 1}
        self._write(state)

    def lag(self) -> None:
        """From now on nothing that is asked is carried out before the commands that ask for it end."""
        self._write({**self.state, "lags": True})

    @property
    def state(self) -> dict[str, Any]:
        """Everything it holds; ``log`` are the commands that were not mere questions."""
        state: dict[str, Any] = json.loads(self._file.read_text())
        return state

    def _write(self, state: dict[str, Any]) -> None:
        self._file.write_text(json.dumps(state))
