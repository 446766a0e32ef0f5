"""TRADES: the cross-entropy of the samples themselves, and how far an attack moves the prediction.

    loss = - sum_k q_k log p_k + beta KL(p || p'),    q = (1 - label_smoothing) e_y + label_smoothing / classes

The attack ascends KL(p || p') with p fixed. At the sample itself this is flat, so the attack needs a start of its own.

Source: Zhang et al. 2019, equation (5) with 1/lambda = beta, and algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F

from sparring.attacks import Attack, Criterion, CrossEntropy, GradientAttack
from sparring.attacks.losses import Labels, Logits, Losses
from sparring.classifier_losses.base import Ascended, ClassifierLoss, ClassifierResponse, divergence
from sparring.core.pieces import piece
from sparring.core.records import NonNegative, Probability


@piece("trades")
class TRADES(ClassifierLoss):
    """-log p_y + beta KL(p || p'), whose attack ascends the divergence (Zhang et al. 2019).

    Args:
        beta: weight of the divergence; 6 in the paper.
        label_smoothing: share of the label that is spread evenly over all classes.
    """

    beta: NonNegative = 6.0
    label_smoothing: Probability = 0.0

    def losses(self, response: ClassifierResponse, labels: Labels) -> Losses:
        natural = F.cross_entropy(response.clean, labels, reduction="none", label_smoothing=self.label_smoothing)
        return natural + self.beta * divergence(response.clean, response.attacked)

    def ascended(self, criterion: Criterion, clean: Callable[[], Logits]) -> Ascended:
        fixed = clean()
        return lambda logits, _labels: divergence(fixed, logits)

    def check(self, attack: Attack, criterion: Criterion) -> None:
        if criterion != CrossEntropy():
            raise ValueError(f"trades has an attack loss of its own, the divergence, and criterion = {criterion.name}")
        if attack.epsilon and isinstance(attack, GradientAttack) and attack.start.is_zero:
            raise ValueError(
                "trades ascends a divergence that is flat at the sample itself, where this attack starts; "
                "set attack.start=random"
            )
