"""The headers of a response made from cached bytes, for any framework."""

from collections.abc import Sequence

from easymo.cache.cached_bytes import CachedBytes


def headers_for(cached: CachedBytes, *, public: bool = False, vary: Sequence[str] = ()) -> dict[str, str]:
    """`X-Cache`, `ETag`, `Cache-Control` from what is left of the ttl and of `stale_for`, and `Vary`.

    A response is `private`: only the client itself may keep it. With `public` a CDN may serve it to everybody, also to
    requests that carry credentials. `vary` names the request headers on which it depends, such as Accept-Language.
    A response that did not go through the cache is not kept (`no-cache`).
    """
    age = "no-cache" if cached.outcome == "BYPASS" else f"max-age={cached.max_age_s}"
    if cached.stale_for_s:
        age += f", stale-while-revalidate={cached.stale_for_s}"
    whose = "public" if public and cached.outcome != "BYPASS" else "private"
    headers = {"X-Cache": cached.outcome, "Cache-Control": f"{whose}, {age}", "ETag": f'"{cached.version}"'}
    return headers | {"Vary": ", ".join(vary)} if vary else headers


def is_unchanged(if_none_match: str | None, headers: dict[str, str]) -> bool:
    """Whether the client says that it has this version (If-None-Match, RFC 9110 section 13.1.2)."""
    if not if_none_match:
        return False
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or headers["ETag"] in known
