"""The four services as processes on real servers, a little traffic, and a Prometheus that scrapes them."""

import asyncio
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import asyncpg
import httpx
import msgspec
import pytest

from easymo.embedded import Postgres, Valkey
from easymo_platform.operations.migrate import MIGRATIONS
from easymo_platform.sample_data.keys import user_id
from easymo_platform.whatsapp_webhook.signature import HEADER, sign
from tests.monitoring.prometheus import Prometheus, exposition, prometheus
from tests.operations.processes import address_of, command
from tests.whatsapp_webhook.client import SECRET, VERIFY, envelope, text

SERVICES = ("voice-bridge", "video-orchestrator", "whatsapp-webhook", "agent-core")

# kube-state-metrics needs a cluster and there is none here: a recorded example in its place, one autoscaler at its
# maximum and one below.
KUBE_STATE_METRICS = """\
kube_horizontalpodautoscaler_status_current_replicas{namespace="production",horizontalpodautoscaler="voice-bridge-hpa"} 2
kube_horizontalpodautoscaler_status_desired_replicas{namespace="production",horizontalpodautoscaler="voice-bridge-hpa"} 3
kube_horizontalpodautoscaler_spec_min_replicas{namespace="production",horizontalpodautoscaler="voice-bridge-hpa"} 2
kube_horizontalpodautoscaler_spec_max_replicas{namespace="production",horizontalpodautoscaler="voice-bridge-hpa"} 5
kube_horizontalpodautoscaler_status_current_replicas{namespace="production",horizontalpodautoscaler="agent-core-hpa"} 6
kube_horizontalpodautoscaler_status_desired_replicas{namespace="production",horizontalpodautoscaler="agent-core-hpa"} 6
kube_horizontalpodautoscaler_spec_min_replicas{namespace="production",horizontalpodautoscaler="agent-core-hpa"} 2
kube_horizontalpodautoscaler_spec_max_replicas{namespace="production",horizontalpodautoscaler="agent-core-hpa"} 6
"""  # noqa: E501


class Monitored:
    """The running services by name, and the Prometheus that scrapes them."""

    def __init__(self, urls: dict[str, str], prometheus: Prometheus) -> None:
        self.urls = urls
        self.prometheus = prometheus

    def traffic(self, client: httpx.Client) -> None:
        """A few requests to every service: reads that the cache answers, writes, and some that are refused."""
        for path in ("/analytics/live-calls?limit=5", f"/calls/{uuid.uuid4()}"):
            for _ in range(2):
                client.get(self.urls["voice-bridge"] + path)
        client.post(self.urls["voice-bridge"] + "/calls/outbound", json={"to": "+250700000001"})
        client.get(self.urls["video-orchestrator"] + "/render?limit=5")
        body = msgspec.json.encode(envelope(text(wamid=f"wamid.{uuid.uuid4().hex}")))
        signed = {"content-type": "application/json", HEADER: sign(SECRET, body)}
        client.post(self.urls["whatsapp-webhook"] + "/webhook", content=body, headers=signed)
        client.get(f"{self.urls['agent-core']}/sessions?user_id={user_id(0)}")

    def wait_for(self, queries: Mapping[str, str], within_s: float = 90) -> None:
        """Keep traffic going until every query returns data; AssertionError with the names of those that do not."""
        left = self.prometheus.without_data(queries)
        with httpx.Client(timeout=10) as client:
            ends = time.monotonic() + within_s
            while left:
                assert time.monotonic() < ends, f"still without data: {left}"
                self.traffic(client)
                left = self.prometheus.without_data({name: queries[name] for name in left})


@pytest.fixture(scope="module")
def monitored(postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    folder = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as stack:
        database_url = stack.enter_context(migrated_database(postgres))
        environ = {
            "DATABASE_URL": database_url,
            "REDIS_URL": valkey.url,
            "RELEASE": "1.4.2",
            "RENDER_DIR": str(folder),
            "WHATSAPP_APP_SECRET": SECRET,
            "WHATSAPP_VERIFY_TOKEN": VERIFY,
        }
        processes = {name: stack.enter_context(command("serve", name, "--port", "0", **environ)) for name in SERVICES}
        urls = {name: address_of(process) for name, process in processes.items()}
        hosts = [url.removeprefix("http://") for url in urls.values()]
        cluster = stack.enter_context(exposition(KUBE_STATE_METRICS))
        jobs = {"easymo": hosts, "kube-state-metrics": [cluster]}
        yield Monitored(urls, stack.enter_context(prometheus(folder, jobs)))


@contextmanager
def migrated_database(postgres: Postgres) -> Iterator[str]:
    """The address of a database with the baseline's schema and pg_stat_statements, dropped at the end."""
    name = f"monitored_{uuid.uuid4().hex}"
    url = postgres.database_url(name)
    asyncio.run(_execute(postgres.url, f"create database {name}"))
    files = [file.read_text() for file in sorted(MIGRATIONS.glob("*.sql")) if "performance" not in file.name]
    asyncio.run(_execute(url, "create extension pg_stat_statements", *files))
    try:
        yield url
    finally:
        asyncio.run(_execute(postgres.url, f"drop database {name} with (force)"))


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
