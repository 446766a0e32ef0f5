"""Cross-entropy on attacked samples: adversarial training, and plain training without an attack.

    loss = - sum_k q_k log p'_k,    q = (1 - label_smoothing) e_y + label_smoothing / classes

Source: Madry et al. 2018; Rob-GAN, equation (3); label smoothing: Szegedy et al. 2016, section 7.
"""

from __future__ import annotations

import torch.nn.functional as F

from sparring.attacks.losses import Labels, Losses
from sparring.classifier_losses.base import ClassifierLoss, ClassifierResponse
from sparring.core.pieces import piece
from sparring.core.records import Probability


@piece("cross_entropy")
class AdversarialCrossEntropy(ClassifierLoss):
    """-log p'_y: the cross-entropy of attacked samples (Madry et al. 2018).

    Args:
        label_smoothing: share of the label that is spread evenly over all classes.
    """

    label_smoothing: Probability = 0.0

    def losses(self, response: ClassifierResponse, labels: Labels) -> Losses:
        return F.cross_entropy(response.attacked, labels, reduction="none", label_smoothing=self.label_smoothing)
