"""What a classifier descends in training, and what the attack of its training ascends."""

from sparring.classifier_losses.adversarial_cross_entropy import AdversarialCrossEntropy
from sparring.classifier_losses.base import Ascended, ClassifierLoss, ClassifierResponse, divergence
from sparring.classifier_losses.local_lipschitz import LocalLipschitz
from sparring.classifier_losses.mart import MART
from sparring.classifier_losses.trades import TRADES
from sparring.core.pieces import import_members

__all__ = [
    "MART",
    "TRADES",
    "AdversarialCrossEntropy",
    "Ascended",
    "ClassifierLoss",
    "ClassifierResponse",
    "LocalLipschitz",
    "divergence",
]

import_members(__name__, __path__)
