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

from easymo.load import Reply, Request, ScenarioRandom, Visitor, load_scenario, parse_targets
from easymo.load.target import find_target

SCENARIO = load_scenario(Path(os.environ.get("EASYMO_SCENARIO", Path(__file__).with_name("services.py"))))
TARGETS = parse_targets(os.environ["EASYMO_URLS"].split())
REQUESTS = (*SCENARIO.requests, *SCENARIO.setup)
URLS = {request.name: find_target(TARGETS, request.target, request.name).url for request in REQUESTS}
WEIGHTS = [entry.weight for entry in SCENARIO.entries]


class User(FastHttpUser):
    host = next(iter(URLS.values()))
    wait_time = constant_throughput(float(os.environ.get("EASYMO_RATE_PER_USER", "1")))

    def on_start(self) -> None:
        self.random = ScenarioRandom(secrets.randbits(64), secrets.token_hex(8))
        self.began_s = time.monotonic()
        for step in SCENARIO.setup:
            self.play(step, self.random)

    @task
    def send(self) -> None:
        entry = self.random.choices(SCENARIO.entries, WEIGHTS)[0]
        if isinstance(entry, Visitor):
            visitor = ScenarioRandom(secrets.randbits(64), secrets.token_hex(8))
            visitor.memory.update(self.random.memory)
            for step in entry.steps:
                if not self.play(step, visitor):
                    return
        else:
            self.play(entry, self.random)

    def play(self, request: Request, random: ScenarioRandom) -> bool:
        random.due_s = time.monotonic() - self.began_s
        call = SCENARIO.build(request, random)
        sent = {
            "headers": dict(call.headers),
            "data": call.body,
            "name": request.name,
            "allow_redirects": request.follow,
        }
        with self.client.request(call.method, URLS[request.name] + call.path, catch_response=True, **sent) as answer:
            wrong = None if request.expects(answer.status_code) else f"status {answer.status_code}"
            if wrong is None and (request.check or request.capture):
                headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
                wrong = request.fault_of(Reply(answer.status_code, headers, answer.content), random.memory)
            if wrong is None:
                answer.success()
            else:
                answer.failure(wrong)
        return wrong is None
