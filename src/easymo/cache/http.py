"""The headers of a response made from cached bytes, for any framework."""

from easymo.cache.service import CachedBytes


def headers_for(cached: CachedBytes, *, public: bool) -> dict[str, str]:
    """`X-Cache`, `ETag` and `Cache-Control` from what is left of the ttl.

    `public` lets a CDN serve the response even to requests that carry credentials; leave it False for what belongs
    to one user. A response that did not go through the cache must not be kept by others either (`no-cache`).
    """
    max_age = f"{'public, ' if public else ''}max-age={cached.max_age_s}"
    control = "no-cache" if cached.outcome == "BYPASS" else max_age
    return {"X-Cache": cached.outcome, "Cache-Control": control, "ETag": f'"{cached.version}"'}


def is_unchanged(if_none_match: str | None, cached: CachedBytes) -> bool:
    """Whether the client says that it has this version (If-None-Match, RFC 9110 section 13.1.2)."""
    if not if_none_match:
        return False
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or f'"{cached.version}"' in known
