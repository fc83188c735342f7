"""`@cached`: a function whose results are kept under a strategy."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, get_type_hints

from easymo.cache.service import CacheService
from easymo.cache.strategy import Strategy

P = ParamSpec("P")
R = TypeVar("R")


def cached(
    strategy: Strategy, cache: CacheService | Callable[[], CacheService]
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Keep what an async function returns under the key that `strategy` makes of its arguments.

    The arguments are matched to the fields of the strategy by name; the others (a connection, say) do not
    enter the key. The return annotation is the `type` of the decoded value. `cache` is a service, or a function that
    gives it where it does not exist yet when the module is imported. Raises TypeError at the declaration when a
    field has no argument.
    """

    def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        signature = inspect.signature(function)
        missing = [name for name in strategy.fields if name not in signature.parameters]
        if missing:
            raise TypeError(
                f"{function.__qualname__} has no argument {missing}, which the key of strategy {strategy.name!r} "
                f"({strategy.key}) needs. Name the arguments like the fields."
            )
        type_ = get_type_hints(function).get("return", Any)

        @functools.wraps(function)
        async def call(*arguments: P.args, **named: P.kwargs) -> R:
            bound = signature.bind(*arguments, **named)
            bound.apply_defaults()
            key = strategy(*[bound.arguments[name] for name in strategy.fields])
            service = cache if isinstance(cache, CacheService) else cache()
            value: R = await service.get_or_set(key, lambda: function(*arguments, **named), type=type_)
            return value

        return call

    return decorate
