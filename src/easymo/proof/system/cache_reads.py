"""How often a system's cache had what was asked of it, from the counters that its processes publish."""

import asyncio
import re
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct

from easymo.proof.verdict.file import HitRate

_SAMPLE = re.compile(r"^(?P<name>\w+)\{(?P<labels>[^}]*)\} (?P<value>\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
TIMEOUT_S = 5.0

#: Reads by group and outcome.
Reads = Mapping[tuple[str, str], float]


class CacheCounters(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the processes of a system count the reads of its cache, as Prometheus text at ``path``.

    ``counter`` has one label that tells the ``group`` and one that tells the ``outcome``; the outcomes in ``hits`` did
    not have to be loaded. A process without the counter is passed over.
    """

    counter: str
    group: str
    outcome: str
    hits: list[str]
    path: str = "/metrics"


async def read_counters(asked: CacheCounters, addresses: Iterable[str]) -> Reads:
    """The counters of all processes at ``addresses`` (base URLs) now; those that do not answer count nothing."""
    texts = await asyncio.gather(*(asyncio.to_thread(_text, address + asked.path) for address in addresses))
    return parse(asked, "\n".join(texts))


def parse(asked: CacheCounters, text: str) -> Reads:
    """The counter's samples in Prometheus text, those of one group and outcome added up."""
    found: defaultdict[tuple[str, str], float] = defaultdict(float)
    for sample in _SAMPLE.finditer(text):
        if sample["name"] == asked.counter:
            labels = dict(_LABEL.findall(sample["labels"]))
            found[labels.get(asked.group, ""), labels.get(asked.outcome, "")] += float(sample["value"])
    return found


def hit_rates(asked: CacheCounters, before: Reads, after: Reads) -> dict[str, HitRate]:
    """What was read between two readings, per group; groups without a read are left out."""
    rates = {}
    for group in sorted({group for group, _ in after}):
        named = {outcome: value for (name, outcome), value in after.items() if name == group}
        outcomes = {outcome: _grown(before.get((group, outcome), 0.0), value) for outcome, value in named.items()}
        if total := sum(outcomes.values()):
            hits = sum(outcomes.get(outcome, 0) for outcome in asked.hits)
            rates[group] = HitRate(total, hits / total, {outcome: n for outcome, n in outcomes.items() if n})
    return rates


def _grown(before: float, after: float) -> int:
    """By how much a counter grew; a process that was restarted in between began again at 0."""
    return round(after - before if after >= before else after)


def _text(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply:
            return str(reply.read().decode("utf-8", errors="replace"))
    except OSError:
        return ""
