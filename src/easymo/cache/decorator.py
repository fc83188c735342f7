"""`@cached`: a function whose results are kept under a strategy."""

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, ParamSpec, Protocol, TypeVar, cast, get_type_hints

from easymo.cache.service import CacheService
from easymo.cache.store import Done
from easymo.cache.strategy import Key, Strategy

P = ParamSpec("P")
R = TypeVar("R")
Result = TypeVar("Result", covariant=True)
_UNREAD: Final[Any] = object()


class Cached(Protocol[P, Result]):
    """A coroutine function with a cache in front; its three methods take the arguments of the function."""

    __name__: str

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> Coroutine[Any, Any, Result]: ...

    def key(self, *arguments: P.args, **named: P.kwargs) -> Key:
        """The key of a call."""

    def invalidate(self, *arguments: P.args, **named: P.kwargs) -> Coroutine[Any, Any, Done]:
        """Delete the value of a call in every process."""

    def refresh(self, *arguments: P.args, **named: P.kwargs) -> Coroutine[Any, Any, Result]:
        """Call the function now and store what it returns."""


def cached(
    strategy: Strategy,
    cache: CacheService | Callable[[], CacheService],
    *,
    ignore: tuple[str, ...] = (),
    type: Any = _UNREAD,
    background_safe: bool = False,
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Cached[P, R]]:
    """Keep what an async function returns under the key that `strategy` makes of its arguments.

    Every argument is a field of the key or named in `ignore` (a session, `self`), which says that the result does not
    depend on it. The return annotation is the `type` of the decoded value, unless it is given. `cache` is a service, or
    a function that gives it where it does not exist yet when the module is imported. `background_safe`: see
    `CacheService.get_or_set`. Raises TypeError at the declaration when arguments and fields do not match.
    """

    def decorate(function: Callable[P, Coroutine[Any, Any, R]]) -> Cached[P, R]:
        signature = _checked(function, strategy, ignore)
        bind = _Call(function, signature, strategy)

        def service() -> CacheService:
            return cache if isinstance(cache, CacheService) else cache()

        async def load(force: bool, *arguments: P.args, **named: P.kwargs) -> R:
            value: R = await service().get_or_set(
                bind.key(*arguments, **named),
                lambda: function(*arguments, **named),
                type=bind.type() if type is _UNREAD else type,
                force=force,
                background_safe=background_safe,
            )
            return value

        @functools.wraps(function)
        async def call(*arguments: P.args, **named: P.kwargs) -> R:
            return await load(False, *arguments, **named)

        async def invalidate(*arguments: P.args, **named: P.kwargs) -> Done:
            return await service().delete(bind.key(*arguments, **named))

        async def refresh(*arguments: P.args, **named: P.kwargs) -> R:
            return await load(True, *arguments, **named)

        for name, method in (("key", bind.key), ("invalidate", invalidate), ("refresh", refresh)):
            setattr(call, name, method)
        return cast(Cached[P, R], call)

    return decorate


class _Call(Generic[P]):
    """What a call of a decorated function means to the cache."""

    def __init__(self, function: Callable[P, Any], signature: inspect.Signature, strategy: Strategy) -> None:
        self._function = function
        self._signature = signature
        self._strategy = strategy
        self._type: Any = _UNREAD

    def key(self, *arguments: P.args, **named: P.kwargs) -> Key:
        bound = self._signature.bind(*arguments, **named)
        bound.apply_defaults()
        return self._strategy(*[bound.arguments[name] for name in self._strategy.fields])

    def type(self) -> Any:
        """The return annotation, read at the first call: it may name what the module defines further down."""
        if self._type is _UNREAD:
            self._type = return_type(self._function)
        return self._type


def _checked(function: Callable[..., Any], strategy: Strategy, ignore: tuple[str, ...]) -> inspect.Signature:
    name = getattr(function, "__qualname__", repr(function))
    if not inspect.iscoroutinefunction(function):
        raise TypeError(
            f"{name} is not an `async def` function that returns a value; for sync ones see easymo.cache.sync."
        )
    return check_arguments(function, name, strategy, ignore)


def check_arguments(
    function: Callable[..., Any], name: str, strategy: Strategy, ignore: tuple[str, ...]
) -> inspect.Signature:
    """The signature of a function that fits a strategy. Raises TypeError."""
    signature = inspect.signature(function)
    missing = [field for field in strategy.fields if field not in signature.parameters]
    if missing:
        raise TypeError(
            f"{name} has no argument {missing}, which the key of strategy {strategy.name!r} ({strategy.key}) needs. "
            "Name the arguments like the fields."
        )
    unused = [parameter for parameter in signature.parameters if parameter not in (*strategy.fields, *ignore)]
    if unused:
        raise TypeError(
            f"{name} has arguments {unused} that are not in the key of strategy {strategy.name!r} ({strategy.key}), so "
            "calls that differ in them would share a value. Add them to the key, or pass "
            f"ignore={tuple(unused)!r} if the result does not depend on them."
        )
    return signature


def return_type(function: Callable[..., Any]) -> Any:
    """The return annotation of a function. Raises TypeError when it cannot be read at run time."""
    annotation = getattr(function, "__annotations__", {}).get("return", Any)
    if not isinstance(annotation, str):
        return annotation

    def only_return() -> None: ...

    only_return.__annotations__ = {"return": annotation}
    try:
        return get_type_hints(only_return, getattr(inspect.unwrap(function), "__globals__", {}))["return"]
    except NameError as error:
        raise TypeError(
            f"The return annotation of {function.__qualname__} cannot be read at run time ({error}): import the type "
            "outside `if TYPE_CHECKING`, or pass it to @cached as `type=`."
        ) from error
