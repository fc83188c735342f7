"""The shop's load: mostly customers' orders, some prices, a few new orders."""

from easymo.load import Call, Request, Scenario

scenario = Scenario(
    [
        Request("orders of a customer", 60, lambda rng: Call("GET", f"/customers/{rng.randrange(20000)}")),
        Request("price", 30, lambda rng: Call("GET", f"/items/{rng.randrange(1, 101)}")),
        Request("new order", 10, lambda rng: Call("POST", f"/orders/{rng.randrange(20000)}")),
    ]
)
