"""Demand over time: read it from a CSV, a Prometheus range answer or an access log, or take a made-up shape.

:func:`read_trace` tells the three apart by their content and returns one :class:`Series` per name; a trace without
names has the one name ``""``.
"""

from easymo.trace.errors import TraceError
from easymo.trace.read import read_trace
from easymo.trace.series import Series
from easymo.trace.shapes import SHAPES, shape

__all__ = ["SHAPES", "Series", "TraceError", "read_trace", "shape"]
