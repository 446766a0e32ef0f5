"""Real samples: mixtures in the plane, the built-in digits, prepared stores, and what prepares them."""

from sparring.core.pieces import import_members
from sparring.data.arrays import ArraySource, ImageArrays
from sparring.data.augment import (
    Augmentation,
    Augmentations,
    Dequantize,
    HorizontalFlip,
    PaddedCrop,
    ResizedCrop,
    augmented,
)
from sparring.data.base import Batch, Data, Facts, Halves, Source
from sparring.data.digits import Digits, load_digits
from sparring.data.manifest import StoredFile, StoredSplit, StoreManifest
from sparring.data.order import Order, Picks
from sparring.data.prepare import prepare
from sparring.data.selection import Dropped, Selection, label_range
from sparring.data.store import Store, describe, is_store, verify
from sparring.data.synthetic import Grid, Mixture, MixtureSource, Ring

__all__ = [
    "ArraySource",
    "Augmentation",
    "Augmentations",
    "Batch",
    "Data",
    "Dequantize",
    "Digits",
    "Dropped",
    "Facts",
    "Grid",
    "Halves",
    "HorizontalFlip",
    "ImageArrays",
    "Mixture",
    "MixtureSource",
    "Order",
    "PaddedCrop",
    "Picks",
    "ResizedCrop",
    "Ring",
    "Selection",
    "Source",
    "Store",
    "StoreManifest",
    "StoredFile",
    "StoredSplit",
    "augmented",
    "describe",
    "is_store",
    "label_range",
    "load_digits",
    "prepare",
    "verify",
]

import_members(__name__, __path__)
