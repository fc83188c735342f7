"""A process that starts one Postgres and one Valkey, prints their addresses as JSON and waits to be ended.

Run as a file. With the argument `fork` a child without exec stays behind, holding every pipe but the standard ones.
"""

import json
import os
import signal
import sys

from easymo.embedded import EmbeddedError, Postgres, Valkey

try:
    with Postgres() as postgres, Valkey() as valkey:
        child = os.fork() if sys.argv[1:] == ["fork"] else None
        if child == 0:
            os.closerange(1, 3)
            signal.pause()
        started = {"postgres": postgres.url, "directory": str(postgres.directory), "valkey": valkey.url, "child": child}
        print(json.dumps(started), flush=True)
        signal.pause()
except EmbeddedError as error:
    print(json.dumps({"error": str(error)}), flush=True)
