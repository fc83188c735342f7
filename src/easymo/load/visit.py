"""A visitor on the way through its steps: what it remembers, and the cookies that it was given."""

from collections.abc import Mapping

from easymo.load.reply import Reply
from easymo.load.request import Request, ScenarioRandom
from easymo.load.schedule import Schedule, render
from easymo.load.target import Target

Jar = Mapping[Target, Mapping[str, str]]


def cookie_header(jar: Jar, target: Target) -> str:
    """The value of `Cookie` for this target."""
    return "; ".join(f"{name}={value}" for name, value in jar.get(target, {}).items())


class Visit:
    """Builds the requests of one visitor, and takes what it needs from their answers."""

    def __init__(self, schedule: Schedule, number: int, memory: Mapping[str, object], jar: Jar) -> None:
        self.random_numbers = ScenarioRandom(schedule.seed, schedule.salt, number)
        self.random_numbers.memory.update(memory)
        self.jar = {target: dict(cookies) for target, cookies in jar.items()}
        self.counted = False
        self._schedule = schedule

    def payload(self, request: Request, target: Target, due_ms: int) -> bytes:
        """The bytes of a step. Raises `ScenarioError` when it cannot be built."""
        self.random_numbers.due_s = due_ms / 1000
        call = self._schedule.scenario.build(request, self.random_numbers)
        return render(call, target, cookie_header(self.jar, target))

    def answered(self, request: Request, target: Target, reply: Reply) -> str | None:
        """Take in an answer of an expected status; returns what is wrong with it, or None."""
        cookies = self.jar.setdefault(target, {})
        for name, value in reply.cookies().items():
            if value is None:
                cookies.pop(name, None)
            else:
                cookies[name] = value
        return request.fault_of(reply, self.random_numbers.memory)
