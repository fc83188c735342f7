"""What a killed server leaves running ends with the block."""

import os
import signal
from contextlib import suppress

import asyncpg
import psutil

from easymo.embedded import Postgres


async def test_a_backend_that_outlives_its_postmaster_does_not_outlive_the_block() -> None:
    backend = 0
    try:
        with Postgres() as server:
            assert server.pid is not None
            connection = await asyncpg.connect(server.url)
            backend = await connection.fetchval("select pg_backend_pid()")
            os.kill(backend, signal.SIGSTOP)  # it cannot notice that its postmaster has gone
            os.kill(server.pid, signal.SIGKILL)
            while server.alive():
                pass
            connection.terminate()
            assert psutil.pid_exists(backend), "stopped, it is still there"
        assert not psutil.pid_exists(backend)
    finally:
        if backend:
            with suppress(ProcessLookupError):
                os.kill(backend, signal.SIGKILL)
