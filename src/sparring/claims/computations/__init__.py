"""Exact computations: claims that need no training."""

from sparring.claims.computations.base import Computation
from sparring.core.pieces import import_members

__all__ = ["Computation"]

import_members(__name__, __path__)
