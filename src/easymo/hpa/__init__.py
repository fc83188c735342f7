"""See what a Kubernetes HorizontalPodAutoscaler would do: the controller's own arithmetic, without a cluster.

:func:`simulate` plays a demand against an autoscaler that :func:`hpa_from` reads from a manifest. Reading files is in
:mod:`easymo.hpa.inputs`, checking them in :mod:`easymo.hpa.check`, searching in :mod:`easymo.hpa.tune`.
"""

from easymo.hpa.conditions import Conditions
from easymo.hpa.errors import HpaError
from easymo.hpa.simulate import Simulation, Totals, simulate
from easymo.hpa.spec import Hpa, hpa_from

__all__ = ["Conditions", "Hpa", "HpaError", "Simulation", "Totals", "hpa_from", "simulate"]
