"""Users that connect as production's do: each is a member of one service's role and nothing else."""

from urllib.parse import urlsplit, urlunsplit

import asyncpg

SERVICES = ("voice-bridge", "video-orchestrator", "whatsapp-webhook", "agent-core")


def package(service: str) -> str:
    """`voice_bridge` of `voice-bridge`: the name of its package, and of its user."""
    return service.replace("-", "_")


def role(service: str) -> str:
    """The group role of a service."""
    return f"easymo_{package(service)}"


async def add_users(database_url: str) -> dict[str, str]:
    """A login user per service; the address with which each service connects to the database."""
    owner = await asyncpg.connect(database_url)
    try:
        for service in SERVICES:
            await owner.execute(f"create role {package(service)} login in role {role(service)}")
    finally:
        await owner.close()
    return {service: as_user(database_url, package(service)) for service in SERVICES}


def as_user(database_url: str, user: str) -> str:
    """The address with another user in it."""
    parts = urlsplit(database_url)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))
