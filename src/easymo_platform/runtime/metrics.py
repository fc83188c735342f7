"""Prometheus metrics of a service. Names carry no prefix; every series has a ``service`` label."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from easymo_platform.runtime.process import ProcessMetrics

LATENCY_BUCKETS_S = (
    *(ms / 1000 for ms in (1, 5, 10, 25, 50, 75, 98, 150, 200, 250, 287, 300, 456, 500)),
    1.0,
    2.5,
    5.0,
    10.0,
)
"""The note's claims (50/98/150/250/287/456 ms) are bucket bounds, so that they are read off without interpolation."""

# A third of the page, for a time that nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Metrics:
    """The registry of one service and the series that every service has.

    Series are looked up once and kept: the label look-up of the client library costs more than the increment.
    """

    def __init__(self, service: str, release: str = "unreleased") -> None:
        self.service = service
        self.registry = CollectorRegistry()
        self.registry.register(ProcessMetrics(service))
        self.gauge("service_info", "1; which release of the service this process is.", "release").labels(
            service, release
        ).set(1)
        self._requests = self.counter("http_requests_total", "Requests answered.", "method", "route", "status_code")
        self._request_seconds = self.histogram(
            "http_request_duration_seconds", "Time to answer a request.", "method", "route", "status_code"
        )
        self._queries = self.counter("db_queries_total", "Statements sent to Postgres.", "query")
        self._query_seconds = self.histogram(
            "db_query_duration_seconds", "Time of a statement, without queueing.", "query"
        )
        self.breaker_state = self.gauge("circuit_breaker_state", "0 closed, 1 half-open, 2 open.", "peer")
        self._http_series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._query_series: dict[str, tuple[Counter, Histogram]] = {}

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """A new counter with the label ``service`` before ``labels``."""
        return Counter(name, text, ("service", *labels), registry=self.registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """A new gauge with the label ``service`` before ``labels``."""
        return Gauge(name, text, ("service", *labels), registry=self.registry)

    def histogram(self, name: str, text: str, *labels: str) -> Histogram:
        """A new histogram of seconds with the label ``service`` before ``labels``."""
        return Histogram(name, text, ("service", *labels), registry=self.registry, buckets=LATENCY_BUCKETS_S)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request. ``route`` is the template (``/calls/{call_id}``), never the path."""
        if method not in _METHODS:
            method = "other"
        series = self._http_series.get((method, route, status))
        if series is None:
            labels = (self.service, method, route, str(status))
            series = (self._requests.labels(*labels), self._request_seconds.labels(*labels))
            self._http_series[method, route, status] = series
        series[0].inc()
        series[1].observe(seconds)

    def query(self, name: str, seconds: float) -> None:
        """Count one statement by its name in ``queries.sql``."""
        series = self._query_series.get(name)
        if series is None:
            labels = (self.service, name)
            series = (self._queries.labels(*labels), self._query_seconds.labels(*labels))
            self._query_series[name] = series
        series[0].inc()
        series[1].observe(seconds)

    def exposition(self) -> bytes:
        """All series in Prometheus' text format."""
        return generate_latest(self.registry)
