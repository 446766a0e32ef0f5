"""Feature extractors: the classifier in whose features generated and real images are compared."""

from __future__ import annotations

import hashlib
import io
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from weakref import ref

import torch
from torch import Tensor, nn

from sparring.core.errors import CorruptInput, NonFinite, UsageError
from sparring.core.files import storage_errors
from sparring.core.modules import full_precision
from sparring.core.pieces import Piece, piece
from sparring.core.shapes import FeaturesAndLogits, as_bytes
from sparring.networks.base import FeatureNetwork
from sparring.networks.inception import InceptionV3

WEIGHTS = "pt_inception-2015-12-05-6726825d.pth"
RELEASE = "https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the published weights."""

_AT_ONCE = 128
"""Images a forward pass."""


class FrozenClassifier:
    """A trained classifier that sees images rounded to bytes, as a file would hold them.

    Features of the last samples are kept, because several metrics ask for them in turn; the samples are not.

    Args:
        network: the classifier.
        name: what it is and how accurate, for protocols; the digest is appended.
        sha256: of its weights.
        device: to compute on.
    """

    def __init__(self, network: FeatureNetwork, name: str, sha256: str, device: torch.device) -> None:
        self.sha256 = sha256
        self.name = f"{name}, weights SHA-256 {sha256[:12]}"
        self._network = network.to(device).eval().requires_grad_(False)
        self._device = device
        self._last: tuple[ref[Tensor], FeaturesAndLogits] | None = None

    def extract(self, samples: Tensor) -> FeaturesAndLogits:
        """Features `(n, features)` and logits `(n, classes)` of samples `(n, ...)` in [-1, 1].

        Raises:
            NonFinite: one of them is not finite; a metric would not show it.
        """
        if self._last is None or self._last[0]() is not samples:
            self._last = ref(samples), self._extract(samples)
        return self._last[1]

    @torch.no_grad()
    def _extract(self, samples: Tensor) -> FeaturesAndLogits:
        with full_precision():
            parts = [self._network.extract(self._rounded(part)) for part in torch.split(samples, _AT_ONCE)]
        found = FeaturesAndLogits(*(torch.cat(each) for each in zip(*parts, strict=True)))
        if not all(each.isfinite().all() for each in found):
            raise NonFinite(f"not finite: features or logits of {self.name}", "measure with another extractor")
        return found

    def _rounded(self, samples: Tensor) -> Tensor:
        images = as_bytes(samples).to(self._device).float() / 127.5 - 1
        return images.contiguous(memory_format=torch.channels_last)


TrainClassifier = Callable[[], FrozenClassifier | None]
"""Gives the classifier of the data, trained by the tool; None for data without labels."""


class Extractor(Piece, family="extractor"):
    """Chooses the network in whose features generated and real images are compared."""

    @abstractmethod
    def choose(self, classifier: TrainClassifier, device: torch.device) -> FrozenClassifier | None:
        """The network whose features are compared, or None for data without one.

        Args:
            classifier: gives the classifier of the data.
            device: to compute on.

        Raises:
            UsageError: a file of weights is missing.
            CorruptInput: the file is not the published one.
        """


@piece("classifier")
class ClassifierFeatures(Extractor):
    """The classifier of the data, which is also used to count classes: trained once for each data set, and cached."""

    def choose(self, classifier: TrainClassifier, device: torch.device) -> FrozenClassifier | None:
        return classifier()


@piece("inception")
class InceptionFeatures(Extractor):
    """Inception-v3 of 2015-12-05 as in the Fréchet inception distance, from a file of weights.

    Args:
        weights: the file, as published by pytorch-fid.
    """

    weights: str = WEIGHTS

    def choose(self, classifier: TrainClassifier, device: torch.device) -> FrozenClassifier | None:
        path = Path(self.weights)
        if not path.is_file():
            raise UsageError(
                f"extractor.weights = {self.weights!r}: no such file",
                f"download {WEIGHTS} from {RELEASE} and name it: '{{name: inception, weights: PATH}}'",
            )
        with storage_errors(path):
            content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != SHA256:
            raise CorruptInput(
                f"{path}: its SHA-256 begins with {found[:12]}, that of the published weights with {SHA256[:12]}",
                f"download {WEIGHTS} again from {RELEASE}",
            )
        with torch.device("meta"):
            network = InceptionV3()
        network.load_state_dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True), assign=True)
        return FrozenClassifier(
            network, "Inception-v3 of 2015-12-05 as in pytorch-fid (images resized to 299)", found, device
        )


def weights_sha256(network: nn.Module) -> str:
    """A digest of every weight and buffer with its name."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
