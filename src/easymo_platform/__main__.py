"""`python -m easymo_platform`: hands over to the command named first."""

import importlib
import signal
import sys

_COMMANDS = {
    "up": ("easymo_platform.operations.local.up", "the whole platform on servers of its own, until Ctrl-C"),
    "status": ("easymo_platform.operations.status.command", "how every service does, and what is wrong"),
    "serve": ("easymo_platform.operations.serve", "one service"),
    "restart": ("easymo_platform.operations.local.control", "replace the services of a running `up`, one by one"),
    "rollback": ("easymo_platform.operations.rollback.command", "take the performance changes back, dry run first"),
    "flush-cache": ("easymo_platform.operations.flush", "drop what the platform has cached"),
    "openapi": ("easymo_platform.operations.openapi", "the OpenAPI documents, without starting a service"),
    "token": ("easymo_platform.operations.token", "a service token, to try an endpoint with"),
    "whatsapp": ("easymo_platform.operations.whatsapp", "the message queue, dead letters, replay of a webhook"),
    "migrate": ("easymo_platform.operations.migrate", "apply supabase/migrations to a database"),
    "sample-data": ("easymo_platform.sample_data.load", "fill an empty database with seeded, skewed data"),
}

_USAGE = "\n".join(
    (
        "usage: python -m easymo_platform COMMAND [--help]",
        "",
        "The EasyMO platform. DATABASE_URL and REDIS_URL name its servers; `up` starts some where they are not set.",
        "",
        *(f"  {name:<12} {text}" for name, (_, text) in _COMMANDS.items()),
        "",
        "Example: python -m easymo_platform up",
        "",
    )
)


def main(arguments: list[str]) -> int:
    """Run a command. Returns its exit code, or 2 when there is no such command."""
    if arguments and arguments[0] in _COMMANDS:
        module = importlib.import_module(_COMMANDS[arguments[0]][0])
        code: int = module.main(arguments[1:])
        return code
    asked = arguments in (["--help"], ["-h"])
    (sys.stdout if asked else sys.stderr).write(_USAGE)
    return 0 if asked else 2


if __name__ == "__main__":
    # A command that a script starts in the background inherits an ignored SIGINT, and nothing would end `up` or
    # `status --watch` then.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
