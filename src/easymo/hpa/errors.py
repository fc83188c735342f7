"""What can go wrong between a manifest or a trace and a simulated autoscaler."""

from pathlib import Path


class HpaError(Exception):
    """Root of the errors of `easymo.hpa`; the message says what failed, on what, and what to do next."""

    exit_code = 2


class ManifestError(HpaError):
    """A manifest cannot be used as it is written; ``line`` is 0 when the whole file is meant."""

    def __init__(self, path: Path | str, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}" if line else f"{path}: {reason}")
        self.path, self.line, self.reason = path, line, reason


class QuantityError(HpaError):
    """A text is no Kubernetes quantity."""

    def __init__(self, text: object) -> None:
        super().__init__(f"{text!r} is no quantity. Write a number with an optional suffix: 250m, 2, 1.5k, 512Mi.")
        self.text = text


class MetricError(HpaError):
    """A metric gives no proposal at this sync, as when its API does not answer: the size may not shrink."""
