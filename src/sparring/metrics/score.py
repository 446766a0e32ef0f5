"""Inception score: the confidence of a classifier about each image, and the diversity of its classes over all images.

Source: Salimans et al., Improved Techniques for Training GANs, 2016, section 4. With another classifier than
Inception-v3 it is that classifier's score: at most its number of classes, and not comparable with any other.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.shapes import FeaturesAndLogits
from sparring.metrics.base import Reference
from sparring.metrics.feature_metric import SEED, FeatureMetric, as_extractor, seeded


def inception_score(logits: Tensor, *, splits: int) -> tuple[float, float]:
    """exp(E_x KL(p(y|x) || p(y))) over each of `splits` parts of the shuffled samples, in fp64.

    Returns the mean and the standard deviation over the parts.

    Args:
        logits: `(n, classes)`.
        splits: at least 2; the score rises with the size of a part, n / splits rounded up.
    """
    from torchmetrics.image.inception import InceptionScore  # takes a second to import

    with seeded():
        score = InceptionScore(feature=as_extractor(logits.shape[1]), splits=splits, sync_on_compute=False)
        score.update(logits.cpu().double())
        mean, std = score.compute()
    return float(mean), float(std)


@piece("inception_score")
class Score(FeatureMetric):
    """Inception score of generated images under the extractor's logits, its spread, and that of as many real images.

    Args:
        splits: parts that it is averaged over, of equal size except for the last one; fewer if there are few images.
    """

    names: ClassVar[tuple[str, ...]] = ("inception_score", "inception_score_std", "inception_score_real")

    splits: Annotated[int, Field(ge=2)] = 10

    def compare(self, images: FeaturesAndLogits, real: FeaturesAndLogits) -> tuple[float, ...]:
        return inception_score(images.logits, splits=self.splits)

    def protocol(self, reference: Reference, count: int) -> str:
        real = reference.real
        assert real is not None
        classes, images = real.other.logits.shape[1], real.compared(count)
        parts = math.ceil(images / math.ceil(images / self.splits))
        return (
            f"score of the classifier {real.extractor.name}, between 1 and {classes:,}; {parts} splits of "
            f"{images:,} shuffled images, seed {SEED}; the standard deviation is over splits; real: as many images "
            f"({real.origin})"
        )
