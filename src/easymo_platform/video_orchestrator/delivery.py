"""Sending a finished file so that browsers can seek in it and a CDN can keep it (RFC 9110 §13–14)."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from email.utils import formatdate
from pathlib import Path

from litestar import Response
from litestar.response import Stream

from easymo_platform.runtime.errors import ServiceError

CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def deliver(path: Path, version: str, request: Mapping[str, str], *, body: bool) -> Response[bytes] | Stream:
    """The answer to a request, of which the headers are given, for the file ``path``.

    ``version`` names its content, which never changes at this address: hence ``immutable``, and a strong ETag. One
    range is honoured; a request for several gets the whole, as RFC 9110 §14.2 allows. Without ``body`` only headers
    are sent (HEAD).

    Raises:
        ServiceError: 404 when the file is gone, 416 for a range that begins behind its end.
    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise ServiceError(404, "output_not_found", "The output of this job is not in the work folder.") from None
    etag = f'"{version}"'
    headers = {
        "etag": etag,
        "last-modified": formatdate(stat.st_mtime, usegmt=True),
        "cache-control": "public, max-age=31536000, immutable",
        "accept-ranges": "bytes",
    }
    asked = [tag.strip().removeprefix("W/") for tag in request.get("if-none-match", "").split(",")]
    if etag in asked or "*" in asked:
        return Response(b"", status_code=304, headers=headers)
    wanted = request.get("range", "") if request.get("if-range", etag) == etag else ""
    span = _span(wanted, stat.st_size)
    begin, end = span or (0, stat.st_size)
    status = 206 if span else 200
    if span:
        headers["content-range"] = f"bytes {begin}-{end - 1}/{stat.st_size}"
    headers["content-length"] = str(end - begin)
    if not body:
        return Response(b"", status_code=status, headers=headers, media_type="video/mp4")
    return Stream(_pieces(path, begin, end), status_code=status, headers=headers, media_type="video/mp4")


def _span(wanted: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; ``None`` for the whole file."""
    match = _RANGE.fullmatch(wanted)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < begin:
            return None
    if begin >= size or begin == end:
        headers = {"content-range": f"bytes */{size}"}
        raise ServiceError(416, "range_not_satisfiable", f"The output has {size} bytes.", headers=headers)
    return begin, end


async def _pieces(path: Path, begin: int, end: int) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        file.seek(begin)
        while begin < end:
            piece = await asyncio.to_thread(file.read, min(CHUNK_BYTES, end - begin))
            if not piece:
                return
            begin += len(piece)
            yield piece
