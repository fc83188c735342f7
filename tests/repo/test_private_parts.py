"""Parts of other packages that they do not promise to keep, in the shape in which the runtime uses them.

An upgrade that changes one fails here, with its name, and not in a service.
"""

import inspect

import aiosql
from litestar import Litestar
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


def test_uvicorns_protocol_has_what_its_subclass_overrides() -> None:
    methods = (
        "connection_made",
        "connection_lost",
        "data_received",
        "on_headers_complete",
        "timeout_keep_alive_handler",
    )
    assert [name for name in methods if not callable(getattr(HttpToolsProtocol, name, None))] == []
    assert list(inspect.signature(HttpToolsProtocol).parameters)[:3] == ["config", "server_state", "app_state"]


def test_aiosql_knows_the_order_of_a_statements_variables() -> None:
    queries = aiosql.from_str("-- name: find(a, b)\nselect :b, :a, :b", "asyncpg", mandatory_parameters=False)
    assert queries.find.sql == "select $1, $2, $1"


def test_litestars_handler_can_be_wrapped() -> None:
    app = Litestar([], logging_config=None)
    assert callable(app.asgi_handler)
    assert list(inspect.signature(app.asgi_handler).parameters)[:3] == ["scope", "receive", "send"]
