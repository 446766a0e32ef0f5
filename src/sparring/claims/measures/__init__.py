"""What is measured of every game of a claim."""

from sparring.claims.measures.base import Measure
from sparring.core.pieces import import_members

__all__ = ["Measure"]

import_members(__name__, __path__)
