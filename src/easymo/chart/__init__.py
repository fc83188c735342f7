"""Charts without a library: inline SVG for a page, and blocks for a terminal.

A chart shows steps: each value holds until the next one. Pages need no network and no script.
"""

from easymo.chart.line import Line
from easymo.chart.page import page
from easymo.chart.svg import svg_chart
from easymo.chart.terminal import terminal_chart

__all__ = ["Line", "page", "svg_chart", "terminal_chart"]
