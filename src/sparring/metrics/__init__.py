"""Metrics of generated samples."""

from sparring.core.pieces import import_members
from sparring.metrics.base import Metric, RealFeatures, Reference, ReferenceClassifier
from sparring.metrics.frechet import Frechet, frechet_distance
from sparring.metrics.kernel import Kernel, kernel_distance
from sparring.metrics.mode_coverage import Classes, Modes, total_variation
from sparring.metrics.moments import FrechetTo, Moments, frechet_interval, moments
from sparring.metrics.neighbours import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from sparring.metrics.score import Score, inception_score
from sparring.metrics.sliced_wasserstein import SlicedWasserstein, sliced_wasserstein
from sparring.metrics.transport import Wasserstein2, wasserstein1, wasserstein2

__all__ = [
    "Classes",
    "DensityCoverage",
    "Frechet",
    "FrechetTo",
    "Kernel",
    "Metric",
    "Modes",
    "Moments",
    "PrecisionRecall",
    "RealFeatures",
    "Reference",
    "ReferenceClassifier",
    "Score",
    "SlicedWasserstein",
    "Wasserstein2",
    "density_coverage",
    "frechet_distance",
    "frechet_interval",
    "inception_score",
    "kernel_distance",
    "moments",
    "precision_recall",
    "sliced_wasserstein",
    "total_variation",
    "wasserstein1",
    "wasserstein2",
]

import_members(__name__, __path__)
