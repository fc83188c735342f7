"""Readers of the front page, and some who log in (session and CSRF token) to comment."""

from urllib.parse import urlencode

from easymo.load import Call, Request, Scenario, ScenarioRandom, Visitor, form_field

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def log_in(rng: ScenarioRandom) -> Call:
    form = {"user": f"user{rng.randrange(200)}", "password": "secret", "csrfmiddlewaretoken": rng.memory["csrf"]}
    return Call("POST", "/login", FORM, urlencode(form).encode())


def comment(rng: ScenarioRandom) -> Call:
    form = {"text": "Well said.", "csrfmiddlewaretoken": rng.memory["csrf"]}
    return Call("POST", f"/posts/{rng.randrange(1, 1000)}/comments", FORM, urlencode(form).encode())


def take_form(name: str) -> Request:
    return Request(name, 1, lambda rng: Call("GET", "/login"), capture={"csrf": form_field("csrfmiddlewaretoken")})


scenario = Scenario(
    [
        Request("front page", 9, lambda rng: Call("GET", "/")),
        Visitor(
            "commenter",
            1,
            [
                take_form("login form"),
                Request("log in", 1, log_in, expect={302}),
                take_form("comment form"),  # a login changes the token
                Request("comment", 1, comment, expect={201}),
            ],
        ),
    ]
)
