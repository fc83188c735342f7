"""Debian's Prometheus on a port and in a folder of its own, and its questions."""

import http.server
import math
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.monitoring.documents import RULES


def installed(program: str) -> str:
    """Where a program of Debian's package `prometheus` is. Without it a test is skipped, in CI it fails."""
    found = shutil.which(program)
    if found is None:
        assert os.environ.get("CI") != "true", f"{program} is not installed: apt-get install prometheus"
        pytest.skip(f"{program} is not installed (Debian's package prometheus)")
    return found


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples that an expression has now; AssertionError with Prometheus' words if it cannot be read."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=10).json()
        assert answer["status"] == "success", f"{answer.get('error')}: {expression}"
        return list(answer["data"]["result"])

    def without_data(self, queries: Mapping[str, str]) -> list[str]:
        """The names of those queries that return no number; a ratio of nothing, NaN, is none."""
        return [name for name, query in queries.items() if not any(map(_is_number, self.query(query)))]

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its health."""
        groups = httpx.get(f"{self.url}/api/v1/rules", timeout=10).json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


@contextmanager
def prometheus(folder: Path, jobs: Mapping[str, list[str]]) -> Iterator[Prometheus]:
    """Scrapes the targets of each job and evaluates rules.yaml, every second, until the end of the block."""
    program = installed("prometheus")
    targets = [{"job_name": job, "static_configs": [{"targets": hosts}]} for job, hosts in jobs.items()]
    every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config = folder / "prometheus.yaml"  # JSON is YAML
    config.write_bytes(msgspec.json.encode({"global": every, "rule_files": [str(RULES)], "scrape_configs": targets}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder}", f"--web.listen-address={address}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--log.level=warn"], stdout=log, stderr=log)
    try:
        _wait_until_ready(process, f"http://{address}", folder / "log")
        yield Prometheus(f"http://{address}")
    finally:
        process.kill()  # nobody reads its storage again
        process.wait()


def _is_number(sample: Mapping[str, Any]) -> bool:
    return not math.isnan(float(sample["value"][1]))


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/-/ready").is_success:
                return
        time.sleep(0.05)
    raise AssertionError(f"Prometheus is not ready: {log.read_text(encoding='utf-8')}")


@contextmanager
def exposition(text: str) -> Iterator[str]:
    """Serves a fixed page of metrics; its host and port."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: Prometheus asks every second."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
