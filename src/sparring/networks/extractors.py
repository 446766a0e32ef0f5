"""Extractors: the network in whose features generated and real images are compared."""

from __future__ import annotations

import hashlib
from abc import abstractmethod

import torch
from torch import Tensor, nn

from sparring.networks.base import FeatureNetwork
from sparring.pieces import Piece, piece
from sparring.shapes import Seen, as_bytes

_AT_ONCE = 128
"""Images a forward pass."""


class Viewer:
    """A network that looks at images, as the bytes that a file would hold.

    It looks once at samples that several metrics ask about one after the other.

    Args:
        network: what looks.
        name: what it is and how good, for protocols; the digest of its weights is added.
        device: where images are looked at.
    """

    def __init__(self, network: FeatureNetwork, name: str, device: torch.device) -> None:
        self.sha256 = weights_sha256(network)
        self.name = f"{name}, weights SHA-256 {self.sha256[:12]}"
        self._network = network.to(device).eval().requires_grad_(False)
        self._device = device
        self._last: tuple[Tensor, Seen] | None = None

    def see(self, samples: Tensor) -> Seen:
        """Features `(n, features)` and logits `(n, classes)` of samples `(n, ...)` in [-1, 1]."""
        if self._last is None or self._last[0] is not samples:
            self._last = samples, self._look(samples)
        return self._last[1]

    @torch.no_grad()
    def _look(self, samples: Tensor) -> Seen:
        parts = [self._network.see(self._rounded(part)) for part in torch.split(samples, _AT_ONCE)]
        return Seen(torch.cat([part.features for part in parts]), torch.cat([part.logits for part in parts]))

    def _rounded(self, samples: Tensor) -> Tensor:
        images = as_bytes(samples).to(self._device).float() / 127.5 - 1
        return images.contiguous(memory_format=torch.channels_last)


class Extractor(Piece, family="extractor"):
    """Chooses the network in whose features generated and real images are compared."""

    @abstractmethod
    def choose(self, classifier: Viewer | None, device: torch.device) -> Viewer | None:
        """The network that looks at the images, or None where there is none for these data.

        Args:
            classifier: the classifier of the data, trained by the tool; None where they have no labels.
            device: where images are looked at.

        Raises:
            UsageError: a file of weights is missing.
            CorruptInput: it is not what it should be.
        """


@piece("classifier")
class ClassifierFeatures(Extractor):
    """The classifier of the data that also judges classes: trained by the tool, once for each data set, and cached."""

    def choose(self, classifier: Viewer | None, device: torch.device) -> Viewer | None:
        return classifier


def weights_sha256(network: nn.Module) -> str:
    """A digest of every weight and buffer with its name."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
