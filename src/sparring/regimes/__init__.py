"""How real and generated samples enter D's update."""

from sparring.regimes.adversarial import AdversarialRegime, Warmup
from sparring.regimes.base import DiscriminatorSide, Regime, Response, Responses, Side, View
from sparring.regimes.mixed import Mixed
from sparring.regimes.plain import Plain
from sparring.regimes.replace import Replace
from sparring.regimes.symmetric import Symmetric

__all__ = [
    "AdversarialRegime",
    "DiscriminatorSide",
    "Mixed",
    "Plain",
    "Regime",
    "Replace",
    "Response",
    "Responses",
    "Side",
    "Symmetric",
    "View",
    "Warmup",
]
