"""Why a job could not be rendered."""


class RenderError(Exception):
    """A render that did not come to an end; the sentence becomes the job's ``error``.

    ``retry``: whether another attempt may succeed (a full disk may have been emptied, a bad clip stays bad).
    """

    def __init__(self, reason: str, *, retry: bool) -> None:
        super().__init__(reason)
        self.retry = retry
