"""`python -m easymo_platform token`: a service token, to try an endpoint with."""

import argparse
import os
import sys

from easymo_platform.operations.serve import SERVICES
from easymo_platform.runtime.auth import Tokens


def main(arguments: list[str]) -> int:
    """Print a token signed with the first of SERVICE_JWT_KEYS. Returns 0, or 1 without keys."""
    parser = argparse.ArgumentParser(
        prog="python -m easymo_platform token",
        description="Print a service token, signed with the first key in SERVICE_JWT_KEYS.",
        epilog="Example: python -m easymo_platform token voice-bridge voice:read",
    )
    parser.add_argument("service", choices=SERVICES, metavar="SERVICE", help=f"whom to call: {', '.join(SERVICES)}")
    parser.add_argument("scopes", nargs="*", metavar="SCOPE", help="what for, for instance voice:read")
    parser.add_argument("--subject", default="operator", help="who calls (default: %(default)s)")
    parser.add_argument("--lifetime-s", type=int, default=3600, help="default: %(default)s")
    options = parser.parse_args(arguments)
    keys = [key.strip() for key in os.environ.get("SERVICE_JWT_KEYS", "").split(",") if key.strip()]
    if not keys:
        sys.stderr.write("SERVICE_JWT_KEYS is not set: `up` prints the file that holds the keys of its services.\n")
        return 1
    token = Tokens(keys, options.subject).sign(options.service, options.scopes, lifetime_s=options.lifetime_s)
    sys.stdout.write(f"{token}\n")
    return 0
