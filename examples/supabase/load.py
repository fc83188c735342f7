"""Users who look at their latest notes."""

from easymo.load import Call, Request, Scenario


def user(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


scenario = Scenario([Request("notes", 1, lambda rng: Call("GET", "/notes", {"User": user(rng.randrange(500))}))])
