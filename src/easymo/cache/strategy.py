"""Strategies: named, frozen rules for one kind of cached value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID
from weakref import WeakSet

import msgspec

from easymo.cache.errors import StrategyError
from easymo.cache.key import Template, encoded, escape_glob, text_of

Duration = float | timedelta
"""Seconds, or a timedelta."""

_PLAIN_KINDS: Final = frozenset({int, UUID})
MAX_S: Final = 100 * 365 * 86400.0

Ttl = Duration | Callable[[Any], Duration]
"""How long a value is fresh; a function chooses it from the value just loaded."""


class Key(msgspec.Struct, frozen=True):
    """One key of one strategy: what `Strategy.__call__` returns and every method of `CacheService` takes."""

    key: str
    strategy: "Strategy"
    texts: tuple[object, ...] = ()

    def __str__(self) -> str:
        return self.key

    @property
    def ttl(self) -> Ttl | None:
        """How long the value is fresh; None means the service's default."""
        return self.strategy.ttl

    @property
    def stale_for(self) -> Duration:
        """How much longer it may be served while it is loaded again."""
        return self.strategy.stale_for

    @property
    def jitter(self) -> float:
        """The largest part of the ttl that may be cut off at random."""
        return self.strategy.jitter

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of this value, their fields filled in."""
        return self.strategy.tags_of(self.texts)


class Tag(str):
    """A tag as `Strategy.tag` builds it: its fields are encoded as in the stored values."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Strategy:
    """A named rule for one kind of cached value.

    `key` is a template; calling the strategy with its fields, by position or by name, gives the `Key`. `ttl` and
    `stale_for` are seconds or timedeltas; a `ttl` may be a function of the loaded value (0 = do not store this
    one). `tags` are templates over the same fields; `tag` builds one. `jitter` (0 to 1) cuts up to that part off the
    ttl, so values loaded together do not expire together. `invalidated_by` names the events after which a writer
    deletes this value.

    After its ttl a value may be served for `stale_for` more: while one caller loads it again, and when that fails. By
    default the value is loaded within the call that found it stale, and the other callers get the stale one.

    `refresh="background"` loads it in a task of its own, also shortly before the ttl ends, so nobody waits. That task
    may outlive the request, so it happens only with loaders passed with `background_safe=True`. Then `soft_timeout`
    lets callers wait that long for the new value before they get the stale one.

    Without a stale value callers wait at most `hard_timeout`, then LoaderTimeout is raised.
    """

    name: str
    key: str
    ttl: Ttl | None = None
    stale_for: Duration = 0
    tags: tuple[str, ...] = ()
    jitter: float = 0.0
    invalidated_by: tuple[str, ...] = ()
    soft_timeout: Duration = 0
    hard_timeout: Duration | None = None
    refresh: Literal["request", "background"] = "request"
    _template: Template = field(init=False, repr=False, compare=False)
    _single: bool = field(init=False, repr=False, compare=False)
    _prefix: str = field(init=False, repr=False, compare=False)
    _suffix: str = field(init=False, repr=False, compare=False)
    _tag_templates: tuple[tuple[Template, tuple[int, ...]], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given: tuple[object, object] = (self.tags, self.invalidated_by)
        if not all(isinstance(names, tuple) for names in given):
            raise StrategyError(
                f"Strategy {self.name!r}: tags and invalidated_by are tuples, with a comma: ('users',)."
            )
        if not 0 <= self.jitter < 1:
            raise StrategyError(f"Strategy {self.name!r}: jitter {self.jitter} is not a ratio from 0 to below 1.")
        if self.refresh not in ("request", "background"):
            raise StrategyError(f"Strategy {self.name!r}: refresh is 'request' or 'background', not {self.refresh!r}.")
        if not callable(self.ttl) and self.ttl is not None:
            seconds(self.ttl)
        if seconds(self.soft_timeout) and self.refresh != "background":
            raise StrategyError(
                f"Strategy {self.name!r}: a soft_timeout ends the wait for a load that goes on in the background; "
                'add refresh="background".'
            )
        seconds(self.stale_for)
        seconds(self.hard_timeout or 0)
        template = Template(self.key)
        object.__setattr__(self, "_template", template)
        object.__setattr__(self, "_single", len(template.fields) == 1)
        object.__setattr__(self, "_prefix", template.prefix)
        object.__setattr__(self, "_suffix", template.suffix)
        object.__setattr__(self, "_tag_templates", tuple(self._tag_template(tag) for tag in self.tags))
        declared.add(self)

    def _tag_template(self, tag: str) -> tuple[Template, tuple[int, ...]]:
        template = Template(tag)
        unknown = [name for name in template.fields if name not in self._template.fields]
        if unknown:
            raise StrategyError(
                f"Strategy {self.name!r}: tag {tag!r} uses field {unknown[0]!r}, which key {self.key!r} does not have."
            )
        return template, tuple(self._template.fields.index(name) for name in template.fields)

    def __call__(self, *arguments: object, **named: object) -> Key:
        """The key for these fields. Different arguments never share one (see `text_of`)."""
        if self._single and len(arguments) == 1 and not named:
            argument = arguments[0]
            kind = type(argument)  # not __class__, which a Mock or a proxy makes up
            # The commonest kinds of id have nothing to escape; everything else takes the general way.
            if kind in _PLAIN_KINDS or (kind is str and argument.isalnum()):  # type: ignore[attr-defined]
                return Key(f"{self._prefix}{argument}{self._suffix}", self, arguments)
        texts = self._template.texts(arguments, named)
        return Key(self._template.render(texts), self, texts)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields of the key, in its order."""
        return self._template.fields

    def shares_keys_with(self, other: "Strategy") -> bool:
        """Whether some call of `other` makes a key of this strategy (their templates differ in field names only)."""
        return self._template.format == other._template.format

    def tags_of(self, texts: tuple[object, ...]) -> tuple[str, ...]:
        """The tags of the value whose fields have these texts."""
        return tuple(template.render(tuple(texts[i] for i in places)) for template, places in self._tag_templates)

    def tag(self, template: str | None = None, /, **named: object) -> Tag:
        """The tag with these fields, for `invalidate_tag`: `strategy.tag(user_id=7)`, `strategy.tag()`.

        Where two tags have the same fields, pass the `template` too. Raises StrategyError unless exactly one fits.
        """
        fitting = [
            tag
            for source, (tag, _) in zip(self.tags, self._tag_templates, strict=True)
            if set(tag.fields) == named.keys() and template in (None, source)
        ]
        if len(fitting) != 1:
            raise StrategyError(
                f"Strategy {self.name!r} has {len(fitting)} tags with exactly the fields {sorted(named)}; "
                f"its tags are {list(self.tags)}."
            )
        return Tag(fitting[0].render(fitting[0].texts((), named)))

    def pattern(self, **named: object) -> str:
        """The pattern of this strategy's keys; fields that are not named match anything."""
        known: Mapping[str, str] = {name: escape_glob(text_of(value)) for name, value in named.items()}
        unknown = known.keys() - set(self._template.fields)
        if unknown:
            raise StrategyError(f"Strategy {self.name!r} has no fields {sorted(unknown)}.")
        literals = self._template.format.split("%s")
        parts = [escape_glob(literals[0].replace("%%", "%"))]
        for name, literal in zip(self._template.fields, literals[1:], strict=True):
            parts += [known.get(name, "*"), escape_glob(literal.replace("%%", "%"))]
        return "".join(parts)


declared: Final[WeakSet[Strategy]] = WeakSet()
"""Every strategy of this process, by which texts put together by hand are read."""


def meanings(text: str, *, tag: bool) -> tuple[list[str], bool]:
    """The keys (or tags) that a text given to an invalidation may mean, and whether a declared strategy makes it."""
    readings = [
        reading
        for strategy in declared
        for template in ([template for template, _ in strategy._tag_templates] if tag else [strategy._template])
        if template.format != "%s"  # keys given as texts
        for reading in template.readings(text)
    ]
    by_part = ":".join([encoded(part) for part in text.split(":")])
    return list(dict.fromkeys([text, by_part, *readings])), bool(readings)


def seconds(duration: Duration) -> float:
    """A duration in seconds. Raises ValueError for what is no length of time or more than a hundred years."""
    try:
        value = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    except (TypeError, ValueError):
        raise ValueError(f"{duration!r} is no duration; pass seconds as a number, or a timedelta.") from None
    if value < 0:
        raise ValueError(f"A duration of {value:g} s is below zero; pass 0 to store nothing.")
    if not value <= MAX_S:  # NaN is not either
        raise ValueError(
            f"A duration of {value:g} s cannot be kept: everything in a cache ends. Pass at most 100 years."
        )
    return value
