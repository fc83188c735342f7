"""voice-bridge on real servers, in this process."""

import pytest

from easymo.embedded import Valkey


@pytest.fixture
def environ(database: object, redis: object, baseline_url: str, valkey: Valkey) -> dict[str, str]:
    """The environment in which the service finds both servers."""
    return {"DATABASE_URL": baseline_url, "REDIS_URL": valkey.url, "DATABASE_POOL_SIZE": "4", "AUTH_DISABLED": "true"}
