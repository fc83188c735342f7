"""OpenAPI at `/schema`, true to the bytes: examples from each route's `opt`, and the one shape of every error."""

from typing import Any

import msgspec
from litestar import Litestar, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)
from litestar.routes import HTTPRoute

from easymo_platform.runtime.auth import PUBLIC, SCOPE

_ERROR_BODY = Schema(
    type=OpenAPIType.OBJECT,
    title="ErrorBody",
    required=["error", "message"],
    properties={
        "error": Schema(type=OpenAPIType.STRING, description="A word for programs."),
        "message": Schema(type=OpenAPIType.STRING, description="A sentence for people."),
        "details": Schema(description="What belongs to this kind of error; often absent."),
    },
)
_ERROR = OpenAPIResponse(
    description="Any error: 400 a request that cannot be read, 401, 403, 404, 409, 429 with Retry-After, 503",
    content={"application/json": OpenAPIMediaType(schema=Reference(ref="#/components/schemas/ErrorBody"))},
)

EXAMPLE = "example"
"""Key of a route's ``opt``: an example of its request body, or of its answer where it takes no body."""


def openapi_config(service: str) -> OpenAPIConfig:
    """The document of a service; reading it needs no token."""
    return OpenAPIConfig(
        title=service,
        version="1",
        path="/schema",
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, opt={SCOPE: PUBLIC}),
    )


def answers(answer: type) -> dict[int, ResponseSpec]:
    """`responses` of a route that sends cached bytes: what they are the JSON of."""
    return {200: ResponseSpec(answer, generate_examples=False, description="As it is cached")}


def complete(app: Litestar) -> None:
    """Put every route's example into the document, and the errors as they are sent."""
    _add_errors(app)
    paths = app.openapi_schema.paths or {}
    for route in app.routes:
        item = paths.get(_documented(route)) if isinstance(route, HTTPRoute) else None
        if item is None or not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            for method in handler.http_methods:
                operation = getattr(item, method.lower(), None)
                if EXAMPLE in handler.opt and operation is not None:
                    _give(operation, msgspec.to_builtins(handler.opt[EXAMPLE]))


def _add_errors(app: Litestar) -> None:
    document = app.openapi_schema
    document.components.schemas["ErrorBody"] = _ERROR_BODY
    for item in (document.paths or {}).values():
        for method in ("get", "put", "post", "delete", "patch", "head"):
            operation = getattr(item, method)
            if operation is None:
                continue
            kept = {code: found for code, found in (operation.responses or {}).items() if code.startswith(("2", "3"))}
            operation.responses = {**kept, "default": _ERROR}


def _documented(route: HTTPRoute) -> str:
    parts = (part if isinstance(part, str) else f"{{{part.name}}}" for part in route.path_components)
    return "/" + "/".join(parts)


def _give(operation: Operation, example: Any) -> None:
    body = operation.request_body
    if isinstance(body, RequestBody):
        contents = list(body.content.values())
    else:
        responses = operation.responses or {}
        contents = [
            content
            for status, response in responses.items()
            if status.startswith("2") and isinstance(response, OpenAPIResponse)
            for content in (response.content or {}).values()
        ]
    for content in contents:
        if isinstance(content, OpenAPIMediaType):
            content.example = example
