"""Statements: comparisons of cells that a claim asserts."""

from sparring.claims.statements.base import Sample, Statement, Term
from sparring.core.pieces import import_members

__all__ = ["Sample", "Statement", "Term"]

import_members(__name__, __path__)
