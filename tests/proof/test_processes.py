"""The processes of a system know each other's addresses."""

import asyncio
import urllib.request
from pathlib import Path

from easymo.proof.system.acceptance import Process
from easymo.proof.system.processes import RunningSystem

SERVER = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        body = "\\n".join([*sys.argv[2:], os.environ.get("PEER", ""), os.environ.get("PLAIN", "")]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


def said(url: str) -> list[str]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode()).split("\n")


async def test_a_process_is_told_the_address_of_one_that_starts_after_it(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    start = ["{python}", "server.py", "{port}"]
    declared = [
        Process("webhook", [*start, "--agent={url:agent}"], environment={"PEER": "{url:agent}/respond"}),
        Process("agent", start),
    ]
    environment = {"PLAIN": '{"json": [1]} {unknown}'}
    async with RunningSystem(declared, tmp_path, environment, tmp_path / "logs") as system:
        urls = system.targets()
        webhook = await asyncio.to_thread(said, urls["webhook"])
        agent = await asyncio.to_thread(said, urls["agent"])
    assert webhook == [f"--agent={urls['agent']}", f"{urls['agent']}/respond", environment["PLAIN"]]
    assert agent == ["", environment["PLAIN"]], "what one is told, the other is not"
