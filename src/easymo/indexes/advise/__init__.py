"""Indexes for a workload: proposed from its statements, chosen together on a small copy, measured on a large one.

`advise(url, workload)` gives an `Advice`; `migration(advice)` is the file to apply.
"""

from easymo.indexes.advise.advice import Advice, AdvisedIndex, Kind, Outcome, migration
from easymo.indexes.advise.advise import advise
from easymo.indexes.advise.selection import Gain

__all__ = ["Advice", "AdvisedIndex", "Gain", "Kind", "Outcome", "advise", "migration"]
