"""The errors of the load engine: sentences that say what failed, why it matters and what to do next."""


class LoadError(Exception):
    """Root of everything that `easymo.load` raises on purpose; `exit_code` is what the command line returns for it."""

    exit_code = 3


class ScenarioError(LoadError):
    """A scenario, a stage, a URL or a requirement cannot be used as it is written. Nothing was sent."""

    exit_code = 2


class TargetError(LoadError):
    """A target does not answer, so the load could not be started or not be carried to its end."""
