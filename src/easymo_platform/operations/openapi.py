"""`python -m easymo_platform openapi`: the OpenAPI documents of the services, without starting them."""

import argparse
import importlib
import sys
from pathlib import Path

import msgspec

from easymo_platform.operations.serve import SERVICES

_SETTINGS = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1/none",
    "REDIS_ENABLED": "false",
    "AUTH_DISABLED": "true",
    "WHATSAPP_APP_SECRET": "none",
    "WHATSAPP_VERIFY_TOKEN": "none",
}
"""Enough to build an application; nothing is connected."""


def document(service: str) -> bytes:
    """The document of a service as JSON."""
    app = importlib.import_module(SERVICES[service].module).create(_SETTINGS)
    return msgspec.json.format(msgspec.json.encode(app.openapi_schema.to_schema()), indent=2) + b"\n"


def main(arguments: list[str]) -> int:
    """Write or print. Returns 0, or 1 when the folder cannot be written."""
    names = [name for name, entry in SERVICES.items() if entry.scope is not None]
    parser = argparse.ArgumentParser(
        prog="python -m easymo_platform openapi",
        description="Print the OpenAPI document of a service, or write those of all services.",
        epilog="Example: python -m easymo_platform openapi --out build/openapi",
    )
    parser.add_argument("name", nargs="?", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="one file a service, NAME.json")
    options = parser.parse_args(arguments)
    if (options.name is None) == (options.out is None):
        parser.error("give a service's name, or --out for all of them")
    if options.name is not None:
        sys.stdout.buffer.write(document(options.name))
        return 0
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for name in names:
            (options.out / f"{name}.json").write_bytes(document(name))
    except OSError as error:
        sys.stderr.write(f"{options.out} cannot be written: {error.strerror}. Name another folder.\n")
        return 1
    return 0
