"""The contract of every family, for authors of pieces: `check(MyObjective())` raises AssertionError where it is broken.

Our own tests run it over every registered piece.
"""

from sparring.testing.check import check

__all__ = ["check"]
