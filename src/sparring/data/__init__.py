"""Where real samples come from."""

from sparring.data.base import Batch, Data, Facts, Source
from sparring.data.synthetic import Grid, Ring

__all__ = ["Batch", "Data", "Facts", "Grid", "Ring", "Source"]
