"""Real Postgres and Valkey servers for one machine, from wheels, that leave nothing behind.

`with Postgres() as pg:` starts a throw-away PostgreSQL 18 and gives its address as `pg.url`; `with Valkey() as cache:`
does the same with a Valkey 9 set up as a cache. `database_server(url)` and `cache_server(url)` give the user's own
server where `url` names one, and an embedded one where it is None.
"""

from easymo.embedded.errors import AddressError, EmbeddedError, MissingBinariesError, ServerLostError, StartError
from easymo.embedded.postgres import Postgres
from easymo.embedded.servers import CacheServer, DatabaseServer, cache_server, database_server
from easymo.embedded.valkey import Valkey

__all__ = [
    "AddressError",
    "CacheServer",
    "DatabaseServer",
    "EmbeddedError",
    "MissingBinariesError",
    "Postgres",
    "ServerLostError",
    "StartError",
    "Valkey",
    "cache_server",
    "database_server",
]
