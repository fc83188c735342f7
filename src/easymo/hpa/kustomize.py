"""Kustomize folders: read as they stand when they only list files, else rendered by ``kubectl kustomize``."""

import shutil
import subprocess
from pathlib import Path

import yaml

from easymo.hpa.errors import ManifestError

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_LISTING = {"apiVersion", "kind", "resources"}


def _file(folder: Path) -> Path | None:
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def is_kustomization(folder: Path) -> bool:
    """Whether ``folder`` is one."""
    return _file(folder) is not None


def listed_resources(folder: Path) -> list[Path] | None:
    """The files and folders that the kustomization lists, if listing is all that it does; else None.

    Reading them directly gives what rendering would, needs no kubectl, and keeps their lines.
    """
    file = _file(folder)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) if file else None
    except yaml.YAMLError as error:
        raise ManifestError(str(file), 0, f"not valid YAML: {error}. Mend it first.") from error
    if not isinstance(content, dict) or set(content) - _LISTING or not content.get("resources"):
        return None
    resources = [folder / str(name) for name in content["resources"]]
    return resources if all(resource.exists() for resource in resources) else None


def render(folder: Path) -> str:
    """The YAML that ``kubectl kustomize`` makes of ``folder``.

    Raises:
        ManifestError: when there is no kubectl, or it refuses the folder.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise ManifestError(
            folder,
            0,
            "this kustomization changes what it lists, and there is no kubectl here to render it. Install kubectl "
            "1.21 or newer, or name the files that it lists.",
        )
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().removeprefix("error: ") or f"exit code {done.returncode}"
        raise ManifestError(folder, 0, f"kubectl kustomize refuses it: {reason}. Mend the kustomization.")
    return done.stdout
