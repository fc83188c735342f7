"""Indexes that SQL files declare, brought into an ordinary Postgres safely, and taken back.

`read_declared(*paths)` gives what files declare; `apply(url, declared)` builds what is missing or broken,
concurrently; `rollback(url, declared)` drops exactly what apply built; `snapshot` and `difference` show that nothing
else has changed.
"""

from easymo.indexes.apply import Applied, apply
from easymo.indexes.declared import Declared, read_declarations, read_declared
from easymo.indexes.errors import IndexesError
from easymo.indexes.journal import default_journal
from easymo.indexes.plan import Plan, plan
from easymo.indexes.progress import Progress
from easymo.indexes.rollback import RolledBack, rollback, rollback_preview
from easymo.indexes.schema import Schema, difference, snapshot
from easymo.indexes.session import Retry

__all__ = [
    "Applied",
    "Declared",
    "IndexesError",
    "Plan",
    "Progress",
    "Retry",
    "RolledBack",
    "Schema",
    "apply",
    "default_journal",
    "difference",
    "plan",
    "read_declarations",
    "read_declared",
    "rollback",
    "rollback_preview",
    "snapshot",
]
