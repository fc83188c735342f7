"""Strategies: named, frozen rules for one kind of cached value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from easymo.cache.errors import StrategyError
from easymo.cache.key import Template, escape_glob, text_of

Duration = float | timedelta
"""Seconds, or a timedelta."""

_PLAIN_KINDS: Final = frozenset({int, UUID})

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


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named rule for one kind of cached value.

    `key` is a template; calling the strategy with its fields, by position or by name, gives the `Key`. `ttl` and
    `stale_for` are seconds or timedeltas; a `ttl` may be a function of the loaded value (0 = do not store this
    one). `tags` are templates over the same fields. `jitter` (0 to 1) cuts up to that part off the ttl, so that
    values loaded together do not expire together. `invalidated_by` names the events after which a writer deletes
    this value.

    A stale value is served at once while it is loaded again; with a `soft_timeout` callers first wait that long
    for the new one. Without a stale value callers wait at most `hard_timeout`, then LoaderTimeout is raised. In
    both cases the loader goes on and its value is stored.
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
        if not callable(self.ttl) and self.ttl is not None:
            seconds(self.ttl)
        seconds(self.stale_for)
        template = Template(self.key)
        object.__setattr__(self, "_template", template)
        object.__setattr__(self, "_single", len(template.fields) == 1)
        object.__setattr__(self, "_prefix", template.prefix)
        object.__setattr__(self, "_suffix", template.suffix)
        object.__setattr__(self, "_tag_templates", tuple(self._tag_template(tag) for tag in self.tags))

    def _tag_template(self, tag: str) -> tuple[Template, tuple[int, ...]]:
        template = Template(tag)
        unknown = [name for name in template.fields if name not in self._template.fields]
        if unknown:
            raise StrategyError(f"Strategy {self.name!r}: tag {tag!r} uses {unknown}, which key {self.key!r} has not.")
        return template, tuple(self._template.fields.index(name) for name in template.fields)

    def __call__(self, *arguments: object, **named: object) -> Key:
        """The key for these fields. Different arguments never share one (see `text_of`)."""
        if self._single and len(arguments) == 1 and not named:
            argument = arguments[0]
            kind = argument.__class__
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


def seconds(duration: Duration) -> float:
    """A duration in seconds. Raises ValueError below zero."""
    value = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if value < 0:
        raise ValueError(f"A duration of {value:g} s is below zero; pass 0 to store nothing.")
    return value
