"""One self-contained `report.html`: no network, no script, readable on a phone, dark and light."""

from collections.abc import Sequence

from easymo.chart import page
from easymo.proof.report import circumstances, verdicts
from easymo.proof.report.attribution import attribution
from easymo.proof.report.autoscaling import autoscaling
from easymo.proof.report.break_even import break_even
from easymo.proof.report.caching import caching
from easymo.proof.report.capacity import capacity
from easymo.proof.report.cold import cold
from easymo.proof.report.curves import curves
from easymo.proof.report.indexes import indexes
from easymo.proof.report.parts import STYLE
from easymo.proof.report.timeline import timeline
from easymo.proof.report.write_cost import write_cost
from easymo.proof.verdict.file import VerdictFile
from easymo.proof.verdict.measurement import Round

__all__ = ["render_report"]


def render_report(result: VerdictFile, rounds: Sequence[Round] = ()) -> str:
    """The page for `result`; the raw `rounds` of the run give it percentile curves and a timeline."""
    sections = [
        verdicts.first(result),
        verdicts.requests(result),
        verdicts.arms(result),
        curves(result, rounds),
        capacity(result),
        timeline(result, rounds),
        attribution(result),
        break_even(result),
        autoscaling(result),
        indexes(result),
        write_cost(result),
        caching(result),
        cold(result),
        circumstances.applied(result),
        circumstances.circumstances(result),
    ]
    return page(f"{result.system}: what was promised, what was measured", sections, STYLE)
