"""Who calls: service tokens (HS256 JWT) with scopes, checked before a route runs.

A route names what it asks for in its ``opt``: ``opt={SCOPE: "voice:read"}``. ``PUBLIC`` asks for nothing (health, or a
provider's callback, which carries a signature instead); a route that names nothing asks for a valid token.
"""

import time
from collections.abc import Iterable
from typing import Any, cast

import jwt
import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from easymo_platform.runtime.errors import ServiceError

SCOPE = "scope"
PUBLIC = ""

ISSUER = "easymo-services"
LIFETIME_S = 60
LEEWAY_S = 60
LOAD_TEST = "load-test"
"""Subject of a load test's token: it has a rate limit of its own."""

_REMEMBERED_TOKENS = 4096
_CALLER = "easymo.caller"

Connection = ASGIConnection[Any, Any, Any, Any]


class Identity(msgspec.Struct, frozen=True):
    """A caller whose token was checked; ``subject`` is the service's name."""

    subject: str
    scopes: frozenset[str]
    expires: float


class InvalidToken(Exception):
    """The token is absent, forged, stale, or meant for another service. The text says which, without the token."""


class Tokens:
    """Signs with the first key and accepts every key, so that keys are rotated by putting a new one in front."""

    def __init__(self, keys: Iterable[str], service: str) -> None:
        self._keys = tuple(keys)
        self._service = service
        self._checked: dict[str, Identity] = {}

    @property
    def can_sign(self) -> bool:
        """Whether there is a key."""
        return bool(self._keys)

    def sign(self, audience: str, scopes: Iterable[str], *, subject: str = "", lifetime_s: float = LIFETIME_S) -> str:
        """A token with which ``subject`` (by default this service) may call ``audience``."""
        now = time.time()
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "sub": subject or self._service,
            "iat": now,
            "exp": now + lifetime_s,
            "scope": " ".join(scopes),
        }
        return jwt.encode(claims, self._keys[0], algorithm="HS256")

    def verify(self, token: str) -> Identity:
        """Who signed the token for this service. Raises :class:`InvalidToken`."""
        known = self._checked.get(token)
        if known is not None and time.time() < known.expires + LEEWAY_S:
            return known
        identity = self._verify(token)
        if len(self._checked) >= _REMEMBERED_TOKENS:
            self._checked.clear()
        self._checked[token] = identity
        return identity

    def _verify(self, token: str) -> Identity:
        problem: jwt.PyJWTError = jwt.InvalidSignatureError("no key is configured")
        required = {"require": ["exp", "sub", "aud", "iss"]}
        for key in self._keys:
            try:
                claims = jwt.decode(
                    token,
                    key,
                    algorithms=["HS256"],
                    audience=self._service,
                    issuer=ISSUER,
                    leeway=LEEWAY_S,
                    options=cast(Any, required),
                )
            except jwt.InvalidSignatureError as error:
                problem = error
            except jwt.PyJWTError as error:
                raise InvalidToken(f"The token is not valid here: {error}.") from error
            else:
                scope = claims.get("scope")
                scopes = frozenset(scope.split() if isinstance(scope, str) else ())
                return Identity(claims["sub"], scopes, float(claims["exp"]))
        raise InvalidToken("The token was signed with a key that this service does not have.") from problem


def bearer(connection: Connection) -> str:
    """The bearer token of a request. Raises :class:`InvalidToken` when there is none."""
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise InvalidToken("This operation asks for a header `Authorization: Bearer <service token>`.")
    return token


def caller_of(connection: Connection) -> str:
    """The subject of the request's token; empty where none is asked for."""
    return str(connection.scope.get(_CALLER, ""))


async def authorize(connection: Connection, handler: BaseRouteHandler) -> None:
    """Litestar guard of every route.

    Raises the 401 without a valid token, the 403 without the route's scope, the 429 beyond the caller's limit.
    """
    scope = handler.opt.get(SCOPE)
    runtime = connection.app.state.runtime
    if scope == PUBLIC or runtime.settings.auth_disabled:
        return
    try:
        identity = runtime.tokens.verify(bearer(connection))
    except InvalidToken as error:
        await runtime.limits.count_stranger(connection)
        headers = {"www-authenticate": "Bearer"}
        raise ServiceError(401, "unauthorized", str(error), headers=headers) from error
    cast(dict[str, Any], connection.scope)[_CALLER] = identity.subject
    await runtime.limits.count(connection, identity)
    if scope is not None and scope not in identity.scopes:
        raise ServiceError(403, "forbidden", f"This operation asks for the scope {scope}.")
