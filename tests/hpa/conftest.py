"""Manifests and traces for the command line, in a folder of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from easymo.cli.main import app

HPA = """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: web-hpa
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 10
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: 70}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A good autoscaler, in a file."""
    file = tmp_path / "hpa.yaml"
    file.write_text(HPA)
    return file


@pytest.fixture
def easymo() -> Callable[..., Result]:
    """``easymo("hpa", "check", path)``: the command line, in this process."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run
