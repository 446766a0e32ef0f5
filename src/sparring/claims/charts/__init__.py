"""Charts of claims, in the form in which the papers draw them."""

from sparring.claims.charts.base import ClaimChart
from sparring.core.pieces import import_members

__all__ = ["ClaimChart"]

import_members(__name__, __path__)
