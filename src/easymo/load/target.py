"""Where requests go: the URLs of a run by name."""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from easymo.load.errors import ScenarioError

DEFAULT = ""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """One HTTP server, behind TLS or not. `prefix` is put before every path, so a URL may end in a base path.

    `served_as` is the name that the server is asked for (`Host`, SNI) when it is not `host`; `insecure` trusts any
    certificate; `certificate` is a PEM file with the client's own and its key.
    """

    host: str
    port: int
    prefix: str = ""
    tls: bool = False
    served_as: str = ""
    insecure: bool = False
    certificate: str = ""

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @cached_property
    def authority(self) -> str:
        """What stands in the `Host` header."""
        return self.served_as or self.address

    @property
    def name(self) -> str:
        """The server's name without port, as in its certificate."""
        return self.served_as.partition(":")[0] or self.host

    @property
    def address(self) -> str:
        """Host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}{self.prefix}"

    def context(self) -> ssl.SSLContext | None:
        """How TLS is set up, None without it. Raises `ScenarioError` for a certificate that cannot be used."""
        if not self.tls:
            return None
        context = ssl.create_default_context()
        if self.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate)
            except (OSError, ValueError) as error:
                raise ScenarioError(
                    f"The certificate {self.certificate} cannot be used: {error}. It must be a PEM file that holds a "
                    "certificate and its key without a password."
                ) from error
        return context


def parse_target(url: str) -> Target:
    """The target behind an `http://` or `https://` URL; raises `ScenarioError` for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ScenarioError(f"The URL {url!r} cannot be read: {error}. Write it like http://127.0.0.1:8000.") from error
    if parts.scheme not in _PORTS or not host or parts.query or parts.fragment or parts.username:
        raise ScenarioError(
            f"The URL {url!r} is no target: write http://HOST:PORT or https://HOST:PORT, with a base path at most."
        )
    default = _PORTS[parts.scheme]
    return Target(host, default if port is None else port, parts.path.rstrip("/"), tls=parts.scheme == "https")


def parse_targets(urls: Iterable[str]) -> dict[str, Target]:
    """Targets by name from `http://…` (the default) and `name=http://…`; raises `ScenarioError` on a double name."""
    targets: dict[str, Target] = {}
    for text in urls:
        head, equals, rest = text.partition("=")
        name, url = (head, rest) if equals and "/" not in head else (DEFAULT, text)
        if name in targets:
            raise ScenarioError(f"Two URLs are given for {name or 'the default target'!r}: name each one differently.")
        targets[name] = parse_target(url)
    return targets


def find_target(targets: Mapping[str, Target], name: str, wanted_by: str) -> Target:
    """The target `name`; the default one may also be the only one. Raises `ScenarioError` when there is none."""
    if name in targets:
        return targets[name]
    if name == DEFAULT and len(targets) == 1:
        return next(iter(targets.values()))
    known = ", ".join(sorted(repr(key) if key else "the default" for key in targets)) or "none"
    missing = f"the target {name!r}" if name else "the default target"
    option = f"--url {name}=http://…" if name else "--url http://…"
    raise ScenarioError(f"Request {wanted_by!r} goes to {missing}, but the URLs given are: {known}. Add {option}.")
