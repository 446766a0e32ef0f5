"""How real and generated samples enter D's update."""

from sparring.core.pieces import import_members
from sparring.regimes.adversarial import AdversarialRegime, Warmup
from sparring.regimes.base import ORIGINS, DiscriminatorUpdate, Origin, Regime, Response, View
from sparring.regimes.free import Free
from sparring.regimes.mixed import Mixed
from sparring.regimes.own_loop import OwnDiscriminator
from sparring.regimes.plain import Plain
from sparring.regimes.replace import Replace
from sparring.regimes.symmetric import Symmetric

__all__ = [
    "ORIGINS",
    "AdversarialRegime",
    "DiscriminatorUpdate",
    "Free",
    "Mixed",
    "Origin",
    "OwnDiscriminator",
    "Plain",
    "Regime",
    "Replace",
    "Response",
    "Symmetric",
    "View",
    "Warmup",
]

import_members(__name__, __path__)
