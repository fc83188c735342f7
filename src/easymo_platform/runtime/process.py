"""What this process takes of its machine, as metrics: memory beside its limit, processor time, descriptors."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

# Kubernetes shows a container its own control group here: version 2, then version 1.
_LIMIT_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_limit_bytes() -> int:
    """What the container may hold before its processes are killed; without a limit the memory of the machine."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in _LIMIT_FILES:
        with suppress(OSError, ValueError):  # no such group, or "max"
            return min(machine, int(file.read_text(encoding="ascii")))
    return machine


class ProcessMetrics(Collector):
    """The client library's series of a process and its garbage collector, which know no service, with that label."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._limit_bytes = memory_limit_bytes()
        self._unlabelled = CollectorRegistry()
        ProcessCollector(registry=self._unlabelled)
        GCCollector(registry=self._unlabelled)

    def collect(self) -> Iterator[Metric]:
        for family in self._unlabelled.collect():
            family.samples = [
                sample._replace(labels={"service": self._service} | sample.labels) for sample in family.samples
            ]
            yield family
        limit = GaugeMetricFamily(
            "process_memory_limit_bytes", "Memory at which the container is killed.", labels=["service"]
        )
        limit.add_metric([self._service], self._limit_bytes)
        yield limit
