"""A cache that stands alone: near and in Redis, coherent, one load per key, harmless when Redis is away."""

from easymo.cache.decorator import cached
from easymo.cache.service import MISSING, CacheService
from easymo.cache.strategy import Key, Strategy

__all__ = ["MISSING", "CacheService", "Key", "Strategy", "cached"]
