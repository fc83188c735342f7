"""Shoppers who look at products and at what their category costs."""

from easymo.load import Call, Request, Scenario

scenario = Scenario(
    [
        Request("product", 7, lambda rng: Call("GET", f"/products/{rng.randrange(1, 50_001)}")),
        Request("average", 3, lambda rng: Call("GET", f"/categories/{rng.randrange(50)}/average")),
    ]
)
