"""Where one server listens, who we are to it, and how TLS is spoken to it: what a URL says."""

import ssl
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

_TLS_SCHEMES: Final = ("rediss", "valkeys")
SCHEMES: Final = ("redis", "valkey", *_TLS_SCHEMES, "unix")
_VERIFY: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class Address(msgspec.Struct, frozen=True):
    """One server. `tls` is None for a connection in the clear; `server_name` is what its certificate must say."""

    host: str = "localhost"
    port: int = 6379
    path: str = ""
    username: str = ""
    password: str = ""
    database: int = 0
    tls: Any = None
    server_name: str = ""

    def __repr__(self) -> str:
        """Without the password."""
        return f"<Address {self.path or f'{self.host}:{self.port}'} database {self.database}>"

    @classmethod
    def of(cls, url: str, tls: ssl.SSLContext | None = None) -> "Address":
        """The address in a URL of one of `SCHEMES`; `tls` in place of what its options say.

        Raises ValueError with a sentence for anything else.
        """
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        try:
            port = parts.port or 6379
            database = int((parts.scheme != "unix" and parts.path.strip("/")) or options.get("db", "0"))
        except ValueError:  # its text may be a piece of the password
            raise ValueError("The cache URL has no usable port or database number.") from None
        if parts.scheme == "unix":
            return cls(path=unquote(parts.path), username=username, password=password, database=database)
        if parts.scheme in _TLS_SCHEMES:
            tls = tls or _tls_context(options)
        host = parts.hostname or "localhost"
        return cls(host, port, "", username, password, database, tls, options.get("ssl_server_name", host))


def _tls_context(options: dict[str, str]) -> ssl.SSLContext:
    """The options have the names that redis-py gave them. Raises ValueError for others that begin with ssl_."""
    known = {name: options.pop(f"ssl_{name}", None) for name in ("ca_certs", "ca_path", "certfile", "keyfile")}
    verify, check_name = options.pop("ssl_cert_reqs", "required"), options.pop("ssl_check_hostname", "true")
    unknown = [name for name in options if name.startswith("ssl_") and name != "ssl_server_name"]
    if unknown or verify not in _VERIFY:
        raise ValueError(
            f"The cache URL has the TLS option {unknown[0] if unknown else f'ssl_cert_reqs={verify}'}, unknown here. "
            "Use ssl_ca_certs, ssl_ca_path, ssl_certfile, ssl_keyfile, ssl_cert_reqs (required, optional, none), "
            "ssl_check_hostname and ssl_server_name, or pass an SSLContext as tls=."
        )
    try:
        context = ssl.create_default_context(cafile=known["ca_certs"], capath=known["ca_path"])
        if known["certfile"]:
            context.load_cert_chain(known["certfile"], known["keyfile"])
    except OSError as error:
        raise ValueError(f"The cache URL names a certificate or key that cannot be read: {error}") from error
    context.check_hostname = check_name.lower() in ("true", "1", "yes") and verify != "none"
    context.verify_mode = _VERIFY[verify]
    return context
