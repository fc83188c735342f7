"""What the routes of every service are written with."""

from typing import Annotated, Any

from litestar import Request
from litestar.params import HeaderParameter

AnyRequest = Request[Any, Any, Any]

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key again gets what it got the first time; nothing is done twice.",
    ),
]
