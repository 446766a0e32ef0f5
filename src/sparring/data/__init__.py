"""Real samples: mixtures in the plane, the built-in digits, prepared stores, and what prepares them."""

from sparring.data.arrays import Arrays, ArraySource
from sparring.data.augment import Augmentation, Augmentations, Dequantize, Flip, PaddedCrop, ResizedCrop, augmented
from sparring.data.base import Batch, Data, Facts, Halves, Source
from sparring.data.digits import Digits, load_digits
from sparring.data.faults import Faults
from sparring.data.manifest import FileFacts, Manifest, SplitFacts
from sparring.data.order import Order, Picks
from sparring.data.prepare import Progress, describe, prepare
from sparring.data.selection import Dropped, Selection, label_range
from sparring.data.store import Store, inspect, is_store, verify
from sparring.data.synthetic import Grid, Mixture, MixtureSource, Ring

__all__ = [
    "ArraySource",
    "Arrays",
    "Augmentation",
    "Augmentations",
    "Batch",
    "Data",
    "Dequantize",
    "Digits",
    "Dropped",
    "Facts",
    "Faults",
    "FileFacts",
    "Flip",
    "Grid",
    "Halves",
    "Manifest",
    "Mixture",
    "MixtureSource",
    "Order",
    "PaddedCrop",
    "Picks",
    "Progress",
    "ResizedCrop",
    "Ring",
    "Selection",
    "Source",
    "SplitFacts",
    "Store",
    "augmented",
    "describe",
    "inspect",
    "is_store",
    "label_range",
    "load_digits",
    "prepare",
    "verify",
]
