"""Scenarios written from what describes a system's requests already: OpenAPI, HAR, curl commands, an access log."""

import argparse
import json
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from easymo.load.errors import ScenarioError

_MOST_PATHS = 50
_SECRET = frozenset({"authorization", "cookie", "x-api-key", "x-csrf-token", "x-csrftoken"})
_ADDED = "host|connection|content-length|transfer-encoding|accept-encoding|user-agent|sec-.*|:.*"
_LOG_LINE = re.compile(r'"([A-Z]+) (/[!-~]*) HTTP/[\d.]+" (\d{3})')
_ID = re.compile(r"\d+|[0-9a-fA-F]{8,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PARAMETER = re.compile(r"\{(\w[\w.-]*)\}")


class _Sample(NamedTuple):
    """A request as the source has it. `path` may hold `{parameters}` when `values` names them."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: str = ""
    values: Mapping[str, Any] = {}


def scenario_from(source: Path, limit: int) -> str:
    """A Python file that exports a scenario. Raises `ScenarioError` when the source is none of what is known."""
    try:
        text = source.read_text(errors="replace")
    except OSError as error:
        raise ScenarioError(f"{source} cannot be read: {error.strerror}.") from error
    samples, remarks = _read(source, text)
    groups = defaultdict[tuple[str, ...], list[_Sample]](list)
    for sample in samples:
        groups[sample.method, _kind(sample.path)].append(sample)
    if not groups:
        raise ScenarioError(f"{source} holds no request that could be sent.")
    ranked = sorted(groups.values(), key=lambda group: -len(group))
    if len(ranked) > limit:
        remarks.append(f"{len(ranked) - limit} rarer kinds of request are left out: --limit sets how many are written.")
    return _python(source, ranked[:limit], remarks)


def _read(source: Path, text: str) -> tuple[list[_Sample], list[str]]:
    start = text.lstrip()[:1]
    if start == "{" or re.search(r"^(openapi|swagger)\s*:", text, re.MULTILINE):
        document = _document(source, text, is_json=start == "{")
        if isinstance(document, dict) and isinstance(document.get("paths"), dict):
            return list(_openapi(document)), ["Parameters and bodies are made up: put real values in."]
        if isinstance(document, dict) and isinstance(document.get("log"), dict):
            return _har(document["log"])
    elif re.search(r"^\s*\$?\s*curl\s", text, re.MULTILINE):
        return list(_curl(source, text)), []
    elif lines := _LOG_LINE.findall(text):
        reads = [_Sample(method, path) for method, path, _ in lines if method in ("GET", "HEAD")]
        rest = len(lines) - len(reads)
        return reads, [f"{rest} requests with a body are left out: a log does not hold it."] if rest else []
    raise ScenarioError(
        f"{source} is none of what a scenario can be written from: an OpenAPI document (JSON or YAML), a HAR, curl "
        "commands, an access log in common or combined format."
    )


def _document(source: Path, text: str, *, is_json: bool) -> Any:
    try:
        if is_json:
            return json.loads(text)
        import yaml

        return yaml.safe_load(text)
    except ImportError as error:
        raise ScenarioError(f"{source} is YAML, which needs pyyaml: pip install pyyaml, or give JSON.") from error
    except ValueError as error:
        raise ScenarioError(f"{source} is no valid JSON: {error}.") from error
    except Exception as error:
        raise ScenarioError(f"{source} is no valid YAML: {error}.") from error


def _openapi(document: dict[str, Any]) -> Iterator[_Sample]:
    base = urlsplit((document.get("servers") or [{}])[0].get("url", "")).path or document.get("basePath", "")
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method not in ("get", "post", "put", "patch", "delete", "head") or not isinstance(operation, dict):
                continue
            parameters = [
                _resolved(document, p) for p in (*item.get("parameters", ()), *operation.get("parameters", ()))
            ]
            example = {p["name"]: _example(document, p.get("schema", p), p) for p in parameters if "name" in p}
            required = [p for p in parameters if p.get("required")]
            query = urlencode({p["name"]: example[p["name"]] for p in required if p.get("in") == "query"})
            headers = {p["name"]: str(example[p["name"]]) for p in required if p.get("in") == "header"}
            if operation.get("security", document.get("security")):
                headers["Authorization"] = ""
            content = _resolved(document, operation.get("requestBody", {})).get("content", {})
            body = ""
            for kind, media in list(content.items())[:1]:
                value = _example(document, media.get("schema", {}), media)
                body = urlencode(value) if "urlencoded" in kind and isinstance(value, dict) else json.dumps(value)
                headers["Content-Type"] = kind
            values = {name: example.get(name, "1") for name in _PARAMETER.findall(path)}
            yield _Sample(method.upper(), base.rstrip("/") + path + (query and f"?{query}"), headers, body, values)


def _resolved(document: dict[str, Any], node: Any) -> dict[str, Any]:
    for _ in range(10):
        reference = node.get("$ref") if isinstance(node, dict) else None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        node = document
        for part in reference[2:].split("/"):
            node = node.get(part.replace("~1", "/").replace("~0", "~"), {})
    return node if isinstance(node, dict) else {}


def _example(document: dict[str, Any], schema: Any, beside: Mapping[str, Any], depth: int = 0) -> Any:
    """A value that the schema allows, as far as it says: its example, default or first choice, or one by its type."""
    schema = _resolved(document, schema)
    for known in (beside, schema):
        for key in ("example", "default"):
            if key in known:
                return known[key]
    for key in ("enum", "examples"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    for key in ("allOf", "oneOf", "anyOf"):
        if schema.get(key) and depth < 8:
            parts = [_example(document, part, {}, depth + 1) for part in schema[key]]
            dicts = [part for part in parts if isinstance(part, dict)]
            return {k: v for part in dicts for k, v in part.items()} if key == "allOf" and dicts else parts[0]
    if (schema.get("type") == "object" or "properties" in schema) and depth < 8:
        properties = schema.get("properties", {})
        return {name: _example(document, properties[name], {}, depth + 1) for name in properties}
    if schema.get("type") == "array" and depth < 8:
        return [_example(document, schema.get("items", {}), {}, depth + 1)]
    by_format = {"uuid": "00000000-0000-0000-0000-000000000001", "date": "2026-01-01", "email": "somebody@example.com"}
    by_format["date-time"] = "2026-01-01T00:00:00Z"
    kind = schema.get("type")
    return {"integer": 1, "number": 1.0, "boolean": True}.get(kind if isinstance(kind, str) else "") or by_format.get(
        schema.get("format", ""), "text"
    )


def _har(log: dict[str, Any]) -> tuple[list[_Sample], list[str]]:
    requests = [entry["request"] for entry in log.get("entries", ()) if "url" in entry.get("request", {})]
    hosts = Counter(urlsplit(request["url"]).netloc for request in requests)
    if not hosts:
        return [], []
    (host, _), *others = hosts.most_common()
    samples = []
    for request in requests:
        url = urlsplit(request["url"])
        if url.netloc == host:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            headers = {h["name"]: h["value"] for h in request.get("headers", ())}
            samples.append(
                _Sample(request["method"].upper(), path, headers, request.get("postData", {}).get("text", ""))
            )
    remarks = [f"From {host}. Left out are: {', '.join(name for name, _ in others)}."] if others else [f"From {host}."]
    return samples, remarks


def _curl(source: Path, text: str) -> Iterator[_Sample]:
    for command in re.split(r"^\s*\$?\s*(?=curl\s)", text.replace("\\\n", " "), flags=re.MULTILINE):
        if command.startswith("curl"):
            try:
                words = shlex.split(command.split("\n\n")[0], comments=True)[1:]
            except ValueError as error:
                raise ScenarioError(f"{source}: {command.strip()[:60]!r} cannot be read: {error}.") from error
            options = _CURL.parse_known_intermixed_args(words)[0]
            urls = [word for word in (options.url, *options.urls) if word]
            yield from (_curl_request(options, url) for url in urls[:1])


def _curl_request(options: argparse.Namespace, url: str) -> _Sample:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    headers = {name.strip(): value.strip() for name, _, value in (text.partition(":") for text in options.header)}
    headers.update({name: "" for name, given in (("Authorization", options.user), ("Cookie", options.cookie)) if given})
    data = "&".join([*options.data, *options.json])
    if data and not options.get:
        form = "application/json" if options.json else "application/x-www-form-urlencoded"
        headers.setdefault("Content-Type", form)
    queries = "&".join(filter(None, (parts.query, data if options.get else "")))
    method = options.request or ("HEAD" if options.head else "POST" if data and not options.get else "GET")
    return _Sample(method, (parts.path or "/") + (queries and f"?{queries}"), headers, "" if options.get else data)


def _curl_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for names in ("-X --request", "-u --user", "-b --cookie", "--url", *_CURL_IGNORED):
        parser.add_argument(*names.split())
    for names in ("-H --header", "--json", "-d --data --data-raw --data-binary --data-urlencode --data-ascii"):
        parser.add_argument(*names.split(), action="append", default=[])
    for names in ("-G --get", "-I --head"):
        parser.add_argument(*names.split(), action="store_true")
    parser.add_argument("urls", nargs="*")
    return parser


_CURL_IGNORED = ("-A --user-agent", "-o --output", "-e --referer", "-m --max-time", "-x --proxy", "-w --write-out")
_CURL = _curl_options()


def _kind(path: str) -> str:
    """The path without what tells one thing from another: identifiers and the values of the query."""
    bare, _, query = path.partition("?")
    keys = sorted({part.partition("=")[0] for part in query.split("&") if part})
    parts = ("{id}" if _ID.fullmatch(part) else part for part in bare.split("/"))
    return "/".join(parts) + (f"?{'&'.join(keys)}" if keys else "")


def _python(source: Path, groups: list[list[_Sample]], remarks: list[str]) -> str:
    constants, functions, entries, names = list[str](), list[str](), list[str](), set[str]()
    for group in groups:
        sample = group[0]
        title = f"{sample.method} {_kind(sample.path)}"
        name = stem = re.sub(r"\W+", "_", title.lower()).strip("_") or "request"
        number = 1
        while name in names:
            number += 1
            name = f"{stem}_{number}"
        names.add(name)
        call = [repr(sample.method), _path(name, group, constants)]
        headers = _headers(sample.headers)
        if headers or sample.body:
            call.append("{" + ", ".join(headers) + "}")
        if sample.body:
            call.append(repr(sample.body.encode()))
        functions.append(f"def {name}(rng: ScenarioRandom) -> Call:\n    return Call({', '.join(call)})\n")
        entries.append(f"        Request({title!r}, {len(group)}, {name}),")
    secret = "os.environ[" if any("os.environ[" in function for function in functions) else ""
    lines = [f'"""Written from {source.name} by `easymo load init`: yours to edit."""', ""]
    lines += ["import os", ""] if secret else []
    lines += ["from easymo.load import Call, Request, Scenario, ScenarioRandom", ""]
    lines += [*(f"# {remark}" for remark in remarks), *([""] if remarks else [])]
    lines += [*constants, *([""] if constants else []), "", "\n\n".join(functions), ""]
    lines += ["scenario = Scenario(", "    [", *entries, "    ]", ")", ""]
    return "\n".join(lines)


def _path(name: str, group: list[_Sample], constants: list[str]) -> str:
    values = group[0].values
    if values:
        for key, value in values.items():
            constants.append(f"{_constant(name, key)} = [{quote(str(value), safe='')!r}]")
        escaped = group[0].path.replace("\\", "\\\\").replace('"', "%22")
        return 'f"' + _PARAMETER.sub(lambda m: "{rng.choice(" + _constant(name, m[1]) + ")}", escaped) + '"'
    paths = list(dict.fromkeys(quote(sample.path, safe="/?&=%:@!$'()*+,;~-._[]") for sample in group))
    if len(paths) == 1:
        return repr(paths[0])
    constants.append(f"{name.upper()} = [\n" + "".join(f"    {path!r},\n" for path in paths[:_MOST_PATHS]) + "]")
    return f"rng.choice({name.upper()})"


def _constant(name: str, key: str) -> str:
    return re.sub(r"\W", "_", f"{name}_{key}").upper()


def _headers(headers: Mapping[str, str]) -> list[str]:
    """Without those that the generator or a browser adds; secrets come from the environment."""
    shown = []
    for name, value in headers.items():
        if name.lower() in _SECRET:
            shown.append(f"{name!r}: os.environ[{re.sub(r'[^A-Z0-9]', '_', name.upper())!r}]")
        elif not re.fullmatch(_ADDED, name.lower()):
            shown.append(f"{name!r}: {value!r}")
    return shown
