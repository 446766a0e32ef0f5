"""Numbers about generated samples."""

from sparring.metrics.base import Judge, Metric, Reference
from sparring.metrics.classes import Classes, total_variation
from sparring.metrics.modes import Modes
from sparring.metrics.transport import Wasserstein2, wasserstein1, wasserstein2

__all__ = [
    "Classes",
    "Judge",
    "Metric",
    "Modes",
    "Reference",
    "Wasserstein2",
    "total_variation",
    "wasserstein1",
    "wasserstein2",
]
