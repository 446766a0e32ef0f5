"""Real samples: mixtures of Gaussians, the built-in digits, prepared stores, and what prepares them."""

from sparring.core.pieces import import_members
from sparring.data.arrays import ArraySource, ImageArrays, Order
from sparring.data.augment import (
    Augmentation,
    Dequantize,
    HorizontalFlip,
    PaddedCrop,
    ResizedCrop,
)
from sparring.data.base import Batch, Data, Facts, Halves, SampleRows, SampleSet, Source, are_classes_of
from sparring.data.diff_augment import ColorJitter, CutoutSquare, DiffAugmentation, DiffAugmentations, Translation
from sparring.data.digits import Digits, load_digits
from sparring.data.manifest import Dropped, Selection, StoreManifest, label_range
from sparring.data.prepare import prepare
from sparring.data.store import Store, describe, is_store, verify
from sparring.data.synthetic import Grid, Line, Mixture, Ring

__all__ = [
    "ArraySource",
    "Augmentation",
    "Batch",
    "ColorJitter",
    "CutoutSquare",
    "Data",
    "Dequantize",
    "DiffAugmentation",
    "DiffAugmentations",
    "Digits",
    "Dropped",
    "Facts",
    "Grid",
    "Halves",
    "HorizontalFlip",
    "ImageArrays",
    "Line",
    "Mixture",
    "Order",
    "PaddedCrop",
    "ResizedCrop",
    "Ring",
    "SampleRows",
    "SampleSet",
    "Selection",
    "Source",
    "Store",
    "StoreManifest",
    "Translation",
    "are_classes_of",
    "describe",
    "is_store",
    "label_range",
    "load_digits",
    "prepare",
    "verify",
]

import_members(__name__, __path__)
