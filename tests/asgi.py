"""Requests to an app in this process."""

from typing import Any

import httpx


def transport(app: Any, *, raise_app_exceptions: bool = True) -> httpx.ASGITransport:
    """Answers with `app`. The types of frameworks say the same as httpx's in other words, so it takes any."""
    return httpx.ASGITransport(app, raise_app_exceptions=raise_app_exceptions)
