"""Metrics of generated samples."""

from sparring.core.pieces import import_members
from sparring.metrics.base import Metric, RealFeatures, Reference, ReferenceClassifier
from sparring.metrics.frechet import Frechet, frechet_distance
from sparring.metrics.kernel import Kernel, kernel_distance
from sparring.metrics.mode_coverage import Classes, Modes, total_variation
from sparring.metrics.score import Score, inception_score
from sparring.metrics.transport import Wasserstein2, wasserstein1, wasserstein2

__all__ = [
    "Classes",
    "Frechet",
    "Kernel",
    "Metric",
    "Modes",
    "RealFeatures",
    "Reference",
    "ReferenceClassifier",
    "Score",
    "Wasserstein2",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "total_variation",
    "wasserstein1",
    "wasserstein2",
]

import_members(__name__, __path__)
