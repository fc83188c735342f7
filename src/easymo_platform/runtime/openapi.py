"""OpenAPI at ``/schema``, with the example that a route gives in its ``opt``."""

from typing import Any

import msgspec
from litestar import Litestar, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody
from litestar.routes import HTTPRoute

from easymo_platform.runtime.auth import PUBLIC, SCOPE

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


def add_examples(app: Litestar) -> None:
    """Put every route's example into the document."""
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
