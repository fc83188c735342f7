"""Caches of the arms on a server that is not ours alone."""

import contextlib

import pytest
import redis

from easymo.embedded import Valkey
from easymo.proof.errors import RunVoid
from easymo.proof.system.caches import ArmCaches


def test_emptying_one_arms_cache_leaves_the_others_and_the_users(valkey: Valkey) -> None:
    with contextlib.ExitStack() as stack:
        user = stack.enter_context(contextlib.closing(redis.Redis.from_url(valkey.url)))
        user.set("mine", "kept")
        stack.callback(user.delete, "mine")
        caches = ArmCaches(stack, ["none", "both"], valkey.url)
        arms = {
            arm: stack.enter_context(contextlib.closing(redis.Redis.from_url(url))) for arm, url in caches.urls.items()
        }
        for client in arms.values():
            client.set("warm", "yes")
        caches.empty("both")
        assert arms["both"].dbsize() == 0
        assert arms["none"].get("warm") == b"yes"
        assert user.get("mine") == b"kept"


def test_a_cache_that_is_gone_voids_a_cold_round() -> None:
    with contextlib.ExitStack() as stack:
        with Valkey() as server:
            caches = ArmCaches(stack, ["none"], server.url)
        with pytest.raises(RunVoid, match="cache of arm 'none' could not be emptied"):
            caches.empty("none")
