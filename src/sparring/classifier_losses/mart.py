"""MART: adversarial training that weighs samples by how uncertain the classifier is of them.

    loss = - log p'_y - log(1 - max_{k != y} p'_k) + beta KL(p || p') (1 - p_y)

The first two terms are the boosted cross-entropy. The attack ascends the criterion, by default the cross-entropy.

Source: Wang et al. 2020 (Improving Adversarial Robustness Requires Revisiting Misclassified Examples), equation (11).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sparring.attacks.losses import Labels, Losses
from sparring.classifier_losses.base import ClassifierLoss, ClassifierResponse, divergence
from sparring.core.pieces import piece
from sparring.core.records import NonNegative
from sparring.core.shapes import at_least_fp32


@piece("mart")
class MART(ClassifierLoss):
    """-log p'_y - log(1 - max_{k != y} p'_k) + beta KL(p || p') (1 - p_y) (Wang et al. 2020).

    Args:
        beta: weight of the divergence; 6 in the published code.
    """

    beta: NonNegative = 6.0

    def losses(self, response: ClassifierResponse, labels: Labels) -> Losses:
        attacked, label = at_least_fp32(response.attacked), labels[:, None]
        # log(1 - p'_k) for the likeliest wrong k is the log-sum of all other logits, which does not round to log 0.
        likeliest = attacked.scatter(1, label, -torch.inf).argmax(-1, keepdim=True)
        others = attacked.scatter(1, likeliest, -torch.inf).logsumexp(-1)
        margin = attacked.logsumexp(-1) - others
        boosted = F.cross_entropy(attacked, labels, reduction="none") + margin
        uncertain = 1 - at_least_fp32(response.clean).softmax(-1).gather(1, label)[:, 0]
        return boosted + self.beta * divergence(response.clean, response.attacked) * uncertain
