"""Discriminators: a trunk from samples to features, and a head from features to scores.

    source        D(x) = <w, phi(x)> + b
    auxiliary     the same, and class logits V phi(x) + c (AC-GAN)
    projection    D(x, y) = <w, phi(x)> + b + <e_y, phi(x)>

Source: Odena, Olah, Shlens 2017 (AC-GAN); Miyato, Koyama 2018, equation (4) (projection); Rob-GAN, figure 4.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from sparring.core.pieces import Piece, piece
from sparring.core.randomness import Rng
from sparring.core.shapes import Scores, Space
from sparring.networks.base import Network, Verdict

DenseLayer = Callable[[int, int, bool], nn.Module]
"""(inputs, outputs, bias) to a layer `(*batch, inputs) -> (*batch, outputs)`."""


class HeadModule(nn.Module):
    """Features `(*batch, width)` to a verdict without classes.

    Args:
        source: the layer of the score, `(*batch, width) -> (*batch, 1)`.
    """

    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        self.source = source

    def forward(self, features: Tensor) -> Verdict:
        return Verdict(self.source(features).squeeze(-1))


class AuxiliaryModule(HeadModule):
    """Features to a score and class logits.

    Args:
        source: the layer of the score.
        classes: the layer of the logits.
    """

    def __init__(self, source: nn.Module, classes: nn.Module) -> None:
        super().__init__(source)
        self.classes = classes

    def forward(self, features: Tensor) -> Verdict:
        return Verdict(self.source(features).squeeze(-1), self.classes(features))


class ProjectionModule(AuxiliaryModule):
    """Features to the mean of D(x, y) over the classes y, and to the difference of each class from it."""

    def forward(self, features: Tensor) -> Verdict:
        projected = self.classes(features)
        mean = projected.mean(-1, keepdim=True)
        return Verdict((self.source(features) + mean).squeeze(-1), projected - mean)


class Head(Piece, family="head"):
    """The last layer of a discriminator.

    Attributes:
        needs_classes: whether the data must have classes.
        needs_labels: whether scores depend on the label of every sample, generated ones included.
        classifies: whether `Verdict.classes` are logits of a classifier.
    """

    needs_classes: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    classifies: ClassVar[bool] = False

    @abstractmethod
    def build(self, width: int, classes: int, dense: DenseLayer, *, bias: bool = True) -> HeadModule:
        """The module from features `(*batch, width)` to a `Verdict`.

        Args:
            width: number of features.
            classes: number of classes of the data.
            dense: makes the layers.
            bias: whether the score and the logits have biases.
        """

    def score(self, verdict: Verdict, labels: Tensor | None) -> Scores:
        """D's score of samples with these labels, `(*batch)`."""
        return verdict.score


@piece("source")
class SourceHead(Head):
    """Real or generated, regardless of the class."""

    def build(self, width: int, classes: int, dense: DenseLayer, *, bias: bool = True) -> HeadModule:
        return HeadModule(dense(width, 1, bias))


@piece("auxiliary")
class AuxiliaryHead(Head):
    """Real or generated, and the class (AC-GAN, Rob-GAN)."""

    needs_classes: ClassVar[bool] = True
    classifies: ClassVar[bool] = True

    def build(self, width: int, classes: int, dense: DenseLayer, *, bias: bool = True) -> HeadModule:
        return AuxiliaryModule(dense(width, 1, bias), dense(width, classes, bias))


@piece("projection")
class ProjectionHead(Head):
    """Real or generated, given the class, which is projected on the features (SN-GAN).

    Without a label, in penalties and probes, the score is the mean over all classes.
    """

    needs_classes: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = True

    def build(self, width: int, classes: int, dense: DenseLayer, *, bias: bool = True) -> HeadModule:
        return ProjectionModule(dense(width, 1, bias), dense(width, classes, False))

    def score(self, verdict: Verdict, labels: Tensor | None) -> Scores:
        assert verdict.classes is not None
        assert labels is not None
        return verdict.score + verdict.classes.gather(-1, labels.unsqueeze(-1)).squeeze(-1)


class DiscriminatorModule(nn.Module):
    """Samples `(*batch, *shape)` to a verdict, through features.

    Args:
        trunk: samples to features `(*batch, width)`.
        width: number of features.
        head: features to a verdict.
    """

    def __init__(self, trunk: nn.Module, width: int, head: HeadModule) -> None:
        super().__init__()
        self.trunk = trunk
        self.width = width
        self.head = head

    def forward(self, samples: Tensor) -> Verdict:
        verdict: Verdict = self.head(self.trunk(samples))
        return verdict


class ClassHead(nn.Module):
    """The class logits of a discriminator with a class head: a classifier.

    Args:
        discriminator: in the mode that the classifier is in, training or eval.
    """

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.training = discriminator.training

    def forward(self, samples: Tensor) -> Tensor:
        verdict: Verdict = self.discriminator(samples)
        assert verdict.classes is not None
        return verdict.classes


class Discriminator(Network, family="discriminator"):
    """Maps samples `(*batch, *space.shape)` to a `Verdict`.

    Args:
        head: its last layer.
    """

    head: Head = SourceHead()

    @abstractmethod
    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> DiscriminatorModule: ...

    def with_head(
        self, trunk: nn.Module, width: int, space: Space, dense: DenseLayer = nn.Linear, *, bias: bool = True
    ) -> DiscriminatorModule:
        """A trunk with the head; arguments as in `DiscriminatorModule` and `Head.build`."""
        return DiscriminatorModule(trunk, width, self.head.build(width, space.classes, dense, bias=bias))
