"""whatsapp-webhook on real servers, in this process."""

import pytest

from easymo.embedded import Valkey
from tests.whatsapp_webhook.client import SECRET, VERIFY


@pytest.fixture(autouse=True)
def _redis_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine an answer of Redis may take longer than a limit waits for it: then nobody would be limited."""
    monkeypatch.setattr("easymo_platform.runtime.limits.TIMEOUT_S", 30.0)


@pytest.fixture
def environ(database: object, redis: object, baseline_url: str, valkey: Valkey) -> dict[str, str]:
    """The environment of the API and of its workers; agent-core is away."""
    return {
        "DATABASE_URL": baseline_url,
        "REDIS_URL": valkey.url,
        "DATABASE_POOL_SIZE": "4",
        "AUTH_DISABLED": "true",
        "SERVICE_JWT_KEYS": "key-of-the-tests-of-whatsapp-webhook",
        "WHATSAPP_APP_SECRET": SECRET,
        "WHATSAPP_VERIFY_TOKEN": VERIFY,
        "AGENT_CORE_URL": "http://127.0.0.1:1",
    }
