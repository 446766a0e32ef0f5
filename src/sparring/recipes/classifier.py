"""The recipe of a classifier: trained under attack on real samples and on samples of a frozen generator."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from sparring.attacks import PGD, Attack, Criterion, CrossEntropy, TrainingAttack
from sparring.classifier_losses import AdversarialCrossEntropy, ClassifierLoss
from sparring.core.records import Count, Every, NonNegative, Problem, Record, as_one
from sparring.data import Data
from sparring.data.mixing import Mixing, NoMixing
from sparring.networks import Classifier
from sparring.optimizers import Optimizer
from sparring.recipes.base import TrainingRecipe, path_as_store
from sparring.recipes.gan import MeanDecay
from sparring.regimes import Warmup
from sparring.weight_perturbations import NoWeightPerturbation, WeightPerturbation


class StartingPoint(Record):
    """The weights that a classifier starts from.

    Args:
        run: run folder of the same classifier, or of a GAN whose discriminator the classifier is a branch of.
        game: index of the packed game.
    """

    run: str = Field(min_length=1)
    game: Every = 0


class Fakes(Record):
    """Generated samples as training data: of a frozen generator, or of a store of labelled images.

    There are two ways to train on them. With a `weight` they are a second batch, as large as that of real samples, and
    a second term of the loss (Rob-GAN, equation 6). With a `share` they are part of the one batch, whose loss is one
    mean and whose batch statistics are common (Gowal et al. 2021).

    Args:
        run: run folder of a GAN.
        data: a store, in place of a run.
        weight: lambda, of the loss on generated samples; 0.3 to 0.8 in Rob-GAN's code, with 0 none are generated. 0.5
            without a share.
        share: of every batch that is generated, in place of a weight; 0.7 with a million images in the literature.
        labels: run folder of a classifier that labels the samples; None takes the labels that they have.
        game: index of the packed game.
    """

    run: Annotated[str, Field(min_length=1)] | None = None
    data: Annotated[Data | None, BeforeValidator(path_as_store)] = None
    weight: NonNegative | None = 0.5
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    labels: Annotated[str, Field(min_length=1)] | None = None
    game: Every = 0

    @model_validator(mode="before")
    @classmethod
    def _share_is_no_weight(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("share") is not None:
            return {"weight": None} | values
        return values

    @model_validator(mode="after")
    def _says_one_thing(self) -> Fakes:
        if (self.run is None) == (self.data is None):
            raise ValueError("name either a run or a store of data")
        if (self.weight is None) == (self.share is None):
            raise ValueError("give a weight or a share; the other is null")
        return self


class FreeTraining(Record):
    """Free adversarial training: the gradient of every update moves a perturbation that is kept for the next one.

    Args:
        replays: m, updates on each batch.

    Source: Shafahi et al. 2019, algorithm 1.
    """

    replays: Count = 8


class CheckpointSelection(Record):
    """Choice of the classifier by its accuracy under PGD on validation samples, taken out of the training samples.

    The run's classifier is then that of the best measurement; the last one is reported beside it. If the accuracy falls
    suddenly, as in the catastrophic overfitting of training with one step, the run raises an alarm, and the classifier
    from before the fall is the run's (Wong et al. 2020, section 5.3; Rice et al. 2020).

    Args:
        every: rounds between measurements.
        samples: of the validation split, which is the same for every seed and never part of the test split.
        attack_steps: steps of PGD, with the budget of the training.
    """

    every: Count = 100
    samples: Count = 1000
    attack_steps: Count = 10


class ClassifierRecipe(TrainingRecipe):
    """Plain or adversarial training of a classifier f on real and, optionally, generated samples:

        min over w of E_(x, y) real l(x, x_adv, y; w) + lambda E_(x, y) generated l(x, x_adv, y; w)

    with x_adv the sample after the attack on f in eval mode, or after the kept perturbation of `free`, and l by default
    its cross-entropy.

    Args:
        loss: l, and what the attack ascends.
        attack: on the samples; `none` is plain training.
        criterion: what the attack ascends, unless the loss says so.
        free: takes the attack's step from the gradient of the update, instead of an attack on each batch.
        warmup: of the attack's epsilon.
        mixing: of the samples of a batch, before the attack.
        fakes: generated samples; None trains on real ones alone (Madry et al. 2018).
        start: initial weights; None draws them.
        selection: which weights are the run's classifier; None takes the last ones.
        weight_perturbation: where the gradient of the loss is taken.
        ema: decay of the running mean of the weights and batch statistics that is evaluated and used; after t updates
            it is min(ema, (1 + t) / (10 + t)). 0, or null, uses the weights themselves.
        steps: rounds; each is one update on one batch of `batch_size` samples, and on as many generated ones with a
            `weight` of fakes.

    Source: Rob-GAN, equations (3), (6) and (10).
    """

    replicas: ClassVar[int] = 1
    """Classifiers are not packed."""

    classifier: Classifier
    loss: ClassifierLoss = AdversarialCrossEntropy()
    attack: TrainingAttack = PGD()
    criterion: Criterion = CrossEntropy()
    free: FreeTraining | None = None
    warmup: Warmup = Warmup()
    mixing: Mixing = NoMixing()
    fakes: Fakes | None = None
    start: StartingPoint | None = None
    optimizer: Optimizer
    weight_perturbation: WeightPerturbation = NoWeightPerturbation()
    ema: MeanDecay = 0.0
    selection: CheckpointSelection | None = None

    @property
    def images_a_round(self) -> int:
        shared = self.fakes is not None and self.fakes.share is not None
        return self.batch_size - self.generated_a_round if shared else self.batch_size

    @property
    def generated_a_round(self) -> int:
        """Generated samples that a round shows, if it has any: their share of the batch, or as many as real ones."""
        if self.fakes is None or self.fakes.share is None:
            return self.batch_size
        return min(max(round(self.fakes.share * self.batch_size), 1), self.batch_size - 1)

    @property
    def names_runs(self) -> bool:
        """Whether it takes weights, generated samples or labels from other runs."""
        return self.start is not None or (self.fakes is not None and (self.fakes.run or self.fakes.labels) is not None)

    @property
    def replays(self) -> int:
        """Updates on each batch."""
        return self.free.replays if self.free else 1

    @model_validator(mode="after")
    def _can_be_free(self) -> ClassifierRecipe:
        if self.free is None:
            return self
        obstacles = {
            f"attack = {self.attack.name} needs more than the gradient of the update; fgsm does not": (
                self.attack.can_reuse() and self.attack.ball.limited
            ),
            f"criterion = {self.criterion.name}, and the gradient of the update is that of the loss": (
                self.criterion == CrossEntropy()
            ),
            f"loss = {self.loss.name} is not what its attack ascends, and free follows the gradient of the loss": (
                isinstance(self.loss, AdversarialCrossEntropy)
            ),
            f"weight_perturbation = {self.weight_perturbation.name} takes the gradient elsewhere": (
                self.weight_perturbation == NoWeightPerturbation()
            ),
        }
        message = next((obstacle for obstacle, passed in obstacles.items() if not passed), None)
        if message:
            raise as_one([Problem(path=("free",), value=f"replays {self.replays}", message=message)])
        return self

    @model_validator(mode="after")
    def _loss_fits_the_attack(self) -> ClassifierRecipe:
        try:
            self.loss.check(self.attack, self.criterion)
        except ValueError as error:
            raise as_one([Problem(path=("loss",), value=self.loss.name, message=str(error))]) from None
        return self

    @property
    def trained_against(self) -> Attack | None:
        """The attack of the training; None if its epsilon is zero."""
        return self.attack if self.attack.epsilon > 0 else None
