"""Credentials of a platform that runs on one machine: made at the start, handed over in a file, gone at the end."""

import os
import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ENVIRONMENT_FILE = Path(".easymo") / "up.env"

_SECRETS = ("SERVICE_JWT_KEYS", "TWILIO_AUTH_TOKEN", "WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN")


def credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets that every service needs: those of ``environ``, and new ones in place of what it lacks."""
    return {name: environ.get(name) or secrets.token_hex(24) for name in _SECRETS}


@contextmanager
def environment_file(path: Path | None, variables: Mapping[str, str]) -> Iterator[None]:
    """For the length of the block a file that a shell can read (``. FILE``), for nobody but this user."""
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    try:
        yield
    finally:
        if path.exists() and path.read_text(encoding="utf-8") == text:  # else another `up` has written its own
            path.unlink()


def read_environment_file(path: Path) -> dict[str, str]:
    """What :func:`environment_file` has written; empty when there is no such file."""
    try:
        words = shlex.split(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)
