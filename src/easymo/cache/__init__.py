"""A cache that stands alone: near and in Redis, coherent, one load per key, harmless when Redis is unavailable."""

from easymo.cache.decorator import cached
from easymo.cache.key import register_key_field
from easymo.cache.service import MISSING, CacheService
from easymo.cache.strategy import Key, Strategy, Tag

__all__ = ["MISSING", "CacheService", "Key", "Strategy", "Tag", "cached", "register_key_field"]
