"""What describes a system's requests already becomes a scenario that can be played as it is written."""

import json
from pathlib import Path
from typing import Any

import pytest

from easymo.load import ScenarioError, ScenarioRandom, Target, load_scenario
from easymo.load.schedule import render
from easymo.load.sources import scenario_from

TARGET = Target("127.0.0.1", 80)


def written(tmp_path: Path, text: str, name: str = "source.txt", limit: int = 30) -> dict[str, tuple[float, str]]:
    """By request name: its weight and its bytes."""
    (tmp_path / name).write_text(text)
    file = tmp_path / "load.py"
    file.write_text(scenario_from(tmp_path / name, limit))
    scenario = load_scenario(file)
    random_numbers = ScenarioRandom(1, "")
    return {
        request.name: (request.weight, render(scenario.build(request, random_numbers), TARGET).decode())
        for request in scenario.requests
    }


ORDER = {"$ref": "#/components/schemas/Order"}
OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "servers": [{"url": "https://shop.example/v1"}],
    "security": [{"bearer": []}],
    "paths": {
        "/orders/{order-id}": {
            "parameters": [{"$ref": "#/components/parameters/order"}],
            "get": {"parameters": [{"name": "limit", "in": "query", "required": True, "schema": {"default": 5}}]},
            "delete": {"security": []},
        },
        "/orders": {
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}
            },
        },
        "/token": {
            "post": {
                "security": [],
                "requestBody": {
                    "content": {
                        "application/x-www-form-urlencoded": {
                            "schema": {"type": "object", "properties": {"user name": {"type": "string"}}}
                        }
                    }
                },
            }
        },
    },
    "components": {
        "parameters": {"order": {"name": "order-id", "in": "path", "schema": {"type": "string", "format": "uuid"}}},
        "schemas": {
            "Order": {
                "allOf": [
                    {
                        "type": "object",
                        "properties": {"count": {"type": "integer"}, "of": ORDER},
                    },
                    {
                        "properties": {
                            "kind": {"enum": ["gift", "other"]},
                            "when": {"type": "string", "format": "date-time"},
                        }
                    },
                ]
            }
        },
    },
}


def test_an_openapi_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHORIZATION", "Bearer t")
    requests = written(tmp_path, json.dumps(OPENAPI))
    assert requests["GET /v1/orders/{order-id}?limit"][1] == (
        "GET /v1/orders/00000000-0000-0000-0000-000000000001?limit=5 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Authorization: Bearer t\r\n\r\n"
    )
    assert "Authorization" not in requests["DELETE /v1/orders/{order-id}"][1]
    body = json.loads(requests["POST /v1/orders"][1].partition("\r\n\r\n")[2])
    assert (body["count"], body["kind"], body["when"]) == (1, "gift", "2026-01-01T00:00:00Z")
    assert requests["POST /v1/token"][1].endswith("\r\n\r\nuser+name=text")


def test_an_openapi_document_in_yaml(tmp_path: Path) -> None:
    text = "openapi: 3.0.0\npaths:\n  /health:\n    get: {responses: {200: {description: fine}}}\n"
    assert written(tmp_path, text).keys() == {"GET /health"}


def test_a_har_keeps_the_busiest_host_and_no_secret(tmp_path: Path) -> None:
    def entry(method: str, url: str, **more: Any) -> dict[str, Any]:
        headers = [
            {"name": "Cookie", "value": "sid=secret"},
            {"name": ":path", "value": "/"},
            {"name": "X-A", "value": "1"},
        ]
        return {"request": {"method": method, "url": url, "headers": headers, **more}}

    entries = [
        entry("GET", "https://shop.example/items/17"),
        entry("GET", "https://shop.example/items/18?x=1"),
        entry("GET", "https://shop.example/items/19"),
        entry("POST", "https://shop.example/cart", postData={"text": '{"id": 17}'}),
        entry("GET", "https://cdn.example/logo.png"),
    ]
    (tmp_path / "visit.har").write_text(json.dumps({"log": {"entries": entries}}))
    text = scenario_from(tmp_path / "visit.har", 30)
    assert "secret" not in text
    assert "os.environ['COOKIE']" in text
    assert "Left out are: cdn.example." in text
    assert "Request('GET /items/{id}', 2, " in text
    assert "    '/items/17',\n    '/items/19',\n" in text
    compile(text, "load.py", "exec")


CURL = r"""
# how we call it
curl 'https://shop.example/api/orders?limit=5' -H 'Accept: application/json' --compressed -sS
$ curl -XPOST https://shop.example/api/orders \
    -H 'Content-Type: application/json' --data-raw '{"a": "it'"'"'s"}'
curl https://shop.example/api/orders/17 -o /dev/null
curl https://shop.example/api/orders/18
curl -d a=b -d c=d shop.example/login
curl -G https://shop.example/find --data-urlencode "q=a b"
curl -I --url https://shop.example/
curl --request=PUT https://shop.example/x --json '{}'
"""


def test_curl_commands(tmp_path: Path) -> None:
    requests = written(tmp_path, CURL)
    assert requests["GET /api/orders/{id}"][0] == 2
    assert requests["POST /api/orders"][1].endswith('\r\n\r\n{"a": "it\'s"}')
    assert requests["POST /login"][1].endswith("Content-Length: 7\r\n\r\na=b&c=d")
    assert requests["GET /find?q"][1].startswith("GET /find?q=a%20b HTTP/1.1\r\n")
    assert requests["HEAD /"][1].startswith("HEAD / ")
    assert "Content-Type: application/json\r\n" in requests["PUT /x"][1]
    assert "Accept: application/json\r\n" in requests["GET /api/orders?limit"][1]


def test_an_access_log_gives_reads_with_their_weights(tmp_path: Path) -> None:
    line = '::1 - - [24/Nov/2026:08:00:00 +0000] "{} {} HTTP/1.1" 200 2 "-" "curl"\n'
    calls = [("GET", f"/orders/{n}") for n in range(30)] + [("GET", "/"), ("POST", "/orders"), ("GET", '/q?a="x"')]
    requests = written(tmp_path, "".join(line.format(*call) for call in calls))
    assert {name: weight for name, (weight, _) in requests.items()} == {
        "GET /orders/{id}": 30,
        "GET /": 1,
        "GET /q?a": 1,
    }


def test_the_rarer_ones_are_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "calls").write_text("\n\n".join(["curl http://a/often"] * 3 + ["curl http://a/rare"]))
    text = scenario_from(tmp_path / "calls", 1)
    assert "often" in text
    assert "rare'" not in text
    assert "1 rarer kinds of request are left out" in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is none of what a scenario can be written from"),
        ("{}", "is none of what"),
        ("[1]", "is none of what"),
        ("{", "is no valid JSON"),
        ("openapi: [", "is no valid YAML"),
        ('{"paths": {}}', "holds no request"),
        ('{"log": {"entries": []}}', "holds no request"),
        ('{"paths": {"/": {"get": null, "parameters": []}}}', "holds no request"),
        ("curl 'http://a", "cannot be read"),
        ("curl --version", "holds no request"),
        ('::1 - - [x] "POST / HTTP/1.1" 200 2', "holds no request"),
        ("\0\xff", "is none of what"),
    ],
)
def test_what_is_no_source_is_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "source").write_text(text)
    with pytest.raises(ScenarioError, match=says):
        scenario_from(tmp_path / "source", 30)


def test_a_source_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read: No such file"):
        scenario_from(tmp_path / "none", 30)
