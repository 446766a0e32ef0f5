"""The local Lipschitz value as a penalty: Rob-GAN's linear expansion of adversarial training.

    loss = l + penalty || d l / d x' ||_2,    l = - log p'_y

Without an attack x' = x. On training samples alone this is equation (5); with `fakes`, whose distribution stands for
that of the data, equation (4). Lengths are in the data's own range. The network is differentiated twice.

Source: Rob-GAN, equations (4) and (5).
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F

from sparring.attacks.losses import Labels, Losses
from sparring.classifier_losses.base import ClassifierLoss, ClassifierResponse
from sparring.core.pieces import piece
from sparring.core.records import NonNegative


@piece("local_lipschitz")
class LocalLipschitz(ClassifierLoss):
    """l + penalty ||d l / d x'||_2 with l the cross-entropy: Rob-GAN, equations (4) and (5).

    Args:
        penalty: lambda, in units of the data's own range.
    """

    needs_slopes: ClassVar[bool] = True

    penalty: NonNegative = 0.1

    def losses(self, response: ClassifierResponse, labels: Labels) -> Losses:
        cross_entropy = F.cross_entropy(response.attacked, labels, reduction="none")
        return cross_entropy + self.penalty * response.slope(cross_entropy)
