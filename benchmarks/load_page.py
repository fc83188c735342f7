"""Scenario of the load benchmark: one page."""

from easymo.load import Call, Request, Scenario

scenario = Scenario([Request("page", 1, lambda _: Call("GET", "/"))])
