"""How real and generated samples enter D's update."""

from sparring.regimes.base import DiscriminatorSide, Regime, View
from sparring.regimes.plain import Plain

__all__ = ["DiscriminatorSide", "Plain", "Regime", "View"]
