"""The recipe of a classifier: trained under attack on real samples, and on those of a frozen generator."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sparring.attacks import PGD, Attack, Criterion, CrossEntropy
from sparring.core.records import Every, NonNegative, Record
from sparring.networks import Classifier
from sparring.optimizers import Optimizer
from sparring.recipes.common import TrainingRecipe
from sparring.regimes import Warmup


class StartingPoint(Record):
    """The weights that a classifier starts from.

    Args:
        run: a run folder: of the same classifier, or of a game whose discriminator the classifier is a branch of.
        game: which one, where the run packs several.
    """

    run: str = Field(min_length=1)
    game: Every = 0


class Fakes(Record):
    """A frozen class-conditional generator that is trained on too.

    Args:
        run: the run folder of its game.
        weight: lambda, of the loss on generated samples; 0.3 to 0.8 in the published code, with 0 none are generated.
        game: which one, where the run packs several.
    """

    run: str = Field(min_length=1)
    weight: NonNegative = 0.5
    game: Every = 0


class ClassifierRecipe(TrainingRecipe):
    """The training of a classifier f, plain or adversarial, on real samples or on generated ones too:

        min over w of E_(x, y) real l(f(x_adv; w), y) + lambda E_(x, y) generated l(f(x_adv; w), y)

    with l the cross-entropy and x_adv where the attack moves x against f in eval mode.

    Args:
        attack: moves samples; `none` is plain training.
        criterion: what the attack ascends.
        warmup: when the attack's budget grows.
        fakes: generated samples, as many a batch as real ones; None trains on real ones alone (Madry et al. 2018).
        start: weights to start from; None draws them.
        steps: rounds; each is one update on one batch of `batch_size` real samples.

    Source: Rob-GAN, equations (3), (6) and (10).
    """

    replicas: ClassVar[int] = 1
    """Classifiers are not packed."""

    classifier: Classifier
    attack: Attack = PGD()
    criterion: Criterion = CrossEntropy()
    warmup: Warmup = Warmup()
    fakes: Fakes | None = None
    start: StartingPoint | None = None
    optimizer: Optimizer

    @property
    def trained_against(self) -> Attack | None:
        """The attack that it is trained against, or None without a budget for one."""
        return self.attack if self.attack.epsilon > 0 else None
