"""What can go wrong while the platform is operated."""


class OperationError(Exception):
    """An operation cannot go on; the sentence says what failed, on what, and what to do."""
