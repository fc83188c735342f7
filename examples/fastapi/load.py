"""Customers who log in, look at their orders, and sometimes order something."""

import json

from easymo.load import Call, Request, Scenario, ScenarioRandom, Visitor, json_value


def login(rng: ScenarioRandom) -> Call:
    body = json.dumps({"email": f"customer{rng.randrange(1, 20_001)}@example.org"}).encode()
    return Call("POST", "/login", {"Content-Type": "application/json"}, body)


def as_customer(method: str, path: str, rng: ScenarioRandom) -> Call:
    return Call(method, path, {"Authorization": f"Bearer {rng.memory['token']}"})


scenario = Scenario(
    [
        Visitor(
            "customer",
            1,
            [
                Request("log in", 1, login, capture={"token": json_value("/token")}),
                Request("orders", 1, lambda rng: as_customer("GET", "/orders", rng)),
                Request("new order", 1, lambda rng: as_customer("POST", "/orders", rng), expect={201}),
            ],
            think_s=(0.1, 0.3),
        ),
    ]
)
