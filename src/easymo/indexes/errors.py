"""What can go wrong between an index that a file declares and the same index in a database."""

from pathlib import Path


class IndexesError(Exception):
    """Root of the errors of `easymo.indexes`; the message says what failed, why it matters and what to do."""


class SqlFileError(IndexesError):
    """A file cannot be read as the SQL that was asked for."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.path, self.line, self.reason = path, line, reason


class DeclarationError(IndexesError):
    """Postgres or a rule of ours refuses a declared index; nothing was built."""

    def __init__(self, index: str, reason: str) -> None:
        super().__init__(f"Index {index} cannot be built as declared: {reason}")
        self.index, self.reason = index, reason


class DifferentIndexError(IndexesError):
    """The database has a valid index of the declared name that is not the declared one."""

    def __init__(self, index: str, declared: str, observed: str) -> None:
        super().__init__(
            f"The database already has an index {index}, and it is not the declared one.\n"
            f"  declared: {declared}\n"
            f"  in place: {observed}\n"
            "Queries may depend on it, so it stays: rename one of the two, or pass replace to drop and rebuild it."
        )
        self.index, self.declared, self.observed = index, declared, observed


class ConnectError(IndexesError):
    """The database could not be reached or does not let us in."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The database cannot be reached, so that no index was touched: {reason}. Check its address.")
        self.reason = reason


class VersionError(IndexesError):
    """The server is older than what we know of."""

    def __init__(self, version: int, oldest: int) -> None:
        super().__init__(
            f"The server is PostgreSQL {version}, and easymo indexes reads the catalogue and counters of {oldest} and "
            "newer, so that no index was touched. Upgrade the server first: its version is no longer maintained."
        )
        self.version, self.oldest = version, oldest


class PoolerError(IndexesError):
    """The address leads to a pooler that shares sessions, where no setting, lock or concurrent build is safe."""

    def __init__(self, instead: str) -> None:
        super().__init__(
            "The address leads to a pooler in transaction mode: settings and the lock against a second run would land "
            f"in sessions of others. Nothing was done. Use {instead}."
        )
        self.instead = instead


class MovedError(IndexesError):
    """The database is not what it was when the plan was made."""

    def __init__(self, planned: str, now: str) -> None:
        super().__init__(
            f"The plan with digest {planned} no longer holds: the database has moved and the digest is {now}. "
            "Nothing was done; read the new plan and pass its digest."
        )
        self.planned, self.now = planned, now


class DiskError(IndexesError):
    """The disk of the server has too little room for what the plan builds."""

    def __init__(self, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(
            f"The indexes need about {needed_bytes / 1e6:.0f} MB, their sorting included, and the server's disk has "
            f"{free_bytes / 1e6:.0f} MB free. Nothing was built, since a full disk stops every writer: make room first."
        )
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes


class ScratchError(IndexesError):
    """A table cannot be copied to the scratch server."""

    def __init__(self, table: str, reason: str) -> None:
        super().__init__(
            f"Table {table} cannot be copied to the scratch server: {reason}. Nothing is measured without it; name a "
            "scratch server that has what is missing (--scratch), or leave out the queries on it."
            if table
            else f"Nothing can be measured: {reason}. Check the address (--scratch), or use the embedded server."
        )
        self.table, self.reason = table, reason


class CountersError(IndexesError):
    """The counters of pg_stat_statements cannot be read or compared."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Queries cannot be compared by pg_stat_statements: {reason}.")
        self.reason = reason


class AdviceError(IndexesError):
    """The database cannot be read as a whole, or not as the role that runs the workload."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"No indexes can be advised: {reason}.")
        self.reason = reason


class AnotherRunError(IndexesError):
    """Another apply or rollback works on this database; two would drop each other's unfinished indexes."""

    def __init__(self, pid: int | None) -> None:
        holder = f"backend {pid}" if pid else "another session"
        super().__init__(
            f"Another run changes indexes in this database ({holder}): nothing was done; try again when it has ended."
        )
        self.pid = pid


class LockError(IndexesError):
    """An index could not get its lock in any of the attempts."""

    def __init__(self, index: str, attempts: int, blockers: list[str]) -> None:
        by = f" Now in the way: {'; '.join(blockers)}." if blockers else ""
        super().__init__(
            f"Index {index} waited for a lock in {attempts} attempts and gave up.{by} "
            "A transaction stays open on the table or a snapshot is held: end it, or allow more attempts."
        )
        self.index, self.attempts, self.blockers = index, attempts, blockers


class BuildError(IndexesError):
    """Postgres broke off the build or the drop of an index."""

    def __init__(self, index: str, reason: str) -> None:
        super().__init__(
            f"Index {index} was not finished: {reason}. Run again when that is mended: it repairs what is left."
        )
        self.index, self.reason = index, reason
