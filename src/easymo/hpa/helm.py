"""Helm charts: rendered by `helm template` where there is a helm."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from easymo.hpa.errors import ManifestError


def is_chart(folder: Path) -> bool:
    """Whether `folder` is one."""
    return (folder / "Chart.yaml").is_file()


def render(folder: Path, values: Sequence[Path]) -> str:
    """The YAML that `helm template` makes of the chart in `folder` with the files of `values`.

    Raises:
        ManifestError: when there is no helm, or it refuses the chart.
    """
    helm = shutil.which("helm")
    command = ["template", "release", str(folder), *(part for file in values for part in ("--values", str(file)))]
    if helm is None:
        piped = f"helm {' '.join(command)} | easymo hpa check -"
        raise ManifestError(folder, 0, f"this is a Helm chart, and there is no helm here to render it. Run: {piped}")
    done = subprocess.run([helm, *command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().removeprefix("Error: ") or f"exit code {done.returncode}"
        raise ManifestError(folder, 0, f"helm template refuses it: {reason}. Correct the chart or pass --helm-values.")
    return done.stdout
