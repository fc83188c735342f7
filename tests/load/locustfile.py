"""A scenario of `easymo load` for Locust, for load that needs many machines: the same requests in the same proportions.

    EASYMO_URLS='voice-bridge=http://… whatsapp-webhook=http://… agent-core=http://…' locust -f tests/load/locustfile.py

EASYMO_SCENARIO names the scenario (services.py). Each user sends EASYMO_RATE_PER_USER requests a second (1) unless an
answer takes longer: a slow system gets less load, and its latency looks better than it is. See docs/howto/load.md.
"""

import os
import secrets
import time
from pathlib import Path

from locust import FastHttpUser, constant_throughput, task

from easymo.load import ScenarioRandom, load_scenario, parse_targets
from easymo.load.target import find_target

SCENARIO = load_scenario(Path(os.environ.get("EASYMO_SCENARIO", Path(__file__).with_name("services.py"))))
TARGETS = parse_targets(os.environ["EASYMO_URLS"].split())
URLS = {request.name: find_target(TARGETS, request.target, request.name).url for request in SCENARIO.requests}
WEIGHTS = [request.weight for request in SCENARIO.requests]


class Visitor(FastHttpUser):
    host = next(iter(URLS.values()))
    wait_time = constant_throughput(float(os.environ.get("EASYMO_RATE_PER_USER", "1")))

    def on_start(self) -> None:
        self.random = ScenarioRandom(secrets.randbits(64), secrets.token_hex(8))
        self.began_s = time.monotonic()

    @task
    def send(self) -> None:
        self.random.due_s = time.monotonic() - self.began_s
        request = self.random.choices(SCENARIO.requests, WEIGHTS)[0]
        call = SCENARIO.build(request, self.random)
        sent = {"headers": dict(call.headers), "data": call.body, "name": request.name, "allow_redirects": False}
        with self.client.request(call.method, URLS[request.name] + call.path, catch_response=True, **sent) as answer:
            if request.expects(answer.status_code):
                answer.success()
            else:
                answer.failure(f"status {answer.status_code}")
