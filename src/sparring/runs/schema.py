"""The records of summary.json and robustness.json: written by training and evaluation, read by reports and tables."""

from __future__ import annotations

from statistics import fmean
from typing import Annotated, Any, NamedTuple

from pydantic import Field, model_validator

from sparring.runs.stored_record import StoredRecord

SUMMARY, ROBUSTNESS, ROBUSTNESS_EXAMPLES = "summary.json", "robustness.json", "robustness.npz"
"""File names in a run folder."""

Number = int | float | None
"""The value of a metric; None is a success that never came."""
Interval = tuple[float, float]
"""The lower and upper bound of a 95 % interval."""
Share = Annotated[float, Field(ge=0, le=1)]
Epsilon = Annotated[float, Field(ge=0)]


class Estimate(NamedTuple):
    """One number with its 95 % interval, if it has one."""

    value: Number
    interval: Interval | None = None


class MetricValue(StoredRecord):
    """The final value of a metric: one number, or with replicas one for each game.

    Args:
        value: the number or the numbers.
        interval: of each number; None where it has none.
        protocol: what was measured, and how.
    """

    value: Number | tuple[Number, ...]
    interval: Interval | tuple[Interval | None, ...] | None = None
    protocol: str = ""

    @model_validator(mode="after")
    def _one_interval_for_each_value(self) -> MetricValue:
        if len(self._intervals) != len(self._values):
            raise ValueError("not one interval for each value")
        return self

    @property
    def is_per_game(self) -> bool:
        """Whether every game has its own number."""
        return isinstance(self.value, tuple)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The number of each game, or the one number of the run."""
        return tuple(map(Estimate, self._values, self._intervals))

    @property
    def mean(self) -> Number:
        """The mean over the games that have a number."""
        known = [value for value in self._values if value is not None]
        return fmean(known) if known else None

    @property
    def _values(self) -> tuple[Number, ...]:
        return self.value if isinstance(self.value, tuple) else (self.value,)

    @property
    def _intervals(self) -> tuple[Any, ...]:
        if self.interval is None:
            return (None,) * len(self._values)
        return self.interval if self.is_per_game else (self.interval,)


class Alarm(StoredRecord):
    """A symptom of a collapse that persisted.

    Args:
        step: the round at which the alarm was raised.
        until: the round of the first check without the symptom; None if it lasted to the end.
        game: index of the packed game.
        kind: of the collapse.
        cause, remedy: one line each.
    """

    step: int
    until: int | None
    game: int
    kind: str
    cause: str
    remedy: str

    @property
    def lasts(self) -> bool:
        """Whether it held to the end."""
        return self.until is None


class Summary(StoredRecord):
    """summary.json: how a run ended.

    Args:
        recipe: as plain values.
        steps: rounds trained.
        status: `complete`, or why the run ended.
        seconds: of training, measurements included.
        preparation_seconds: before that, in the last call: data, networks, and what metrics compare with.
        verdict: what happened, in one sentence; empty in runs of earlier versions.
        metrics: final values by name.
        alarms: every collapse, oldest first.
        images, epochs: real samples that each game was trained on, and as a multiple of the training split, if it ends.
        parameters: of each network, a game.
    """

    recipe: dict[str, Any] = Field(default_factory=dict)
    steps: int
    status: str
    seconds: float
    preparation_seconds: float = 0.0
    verdict: str = ""
    metrics: dict[str, MetricValue]
    alarms: tuple[Alarm, ...] = ()
    images: int | None = None
    epochs: float | None = None
    parameters: dict[str, int] = Field(default_factory=dict)


class Rate(StoredRecord):
    """A share of samples with its 95 % Wilson interval."""

    value: Share
    interval: tuple[Share, Share]


class AccuracyAt(StoredRecord):
    """Accuracy under perturbations of one size, in units of [0, 1] (or of the data, where they have no range)."""

    epsilon: Epsilon
    accuracy: Rate


class AttackedAccuracy(AccuracyAt):
    """Accuracy under perturbations of one norm and size; `scales` is the size on every scale of the data, as text."""

    norm: str
    scales: str


class ThreatResult(AttackedAccuracy):
    """Accuracy under one threat.

    Args:
        name, kind: of the threat.
        loss_start, loss_end: mean of the attack's criterion on clean and on attacked samples.
        seconds: for all samples.
        forwards, backwards: model calls per sample.
        settings: every key of the threat.
    """

    name: str
    kind: str
    loss_start: float
    loss_end: float
    seconds: float
    forwards: float
    backwards: float
    settings: dict[str, Any] = Field(default_factory=dict)


class WorstCase(AttackedAccuracy):
    """Accuracy in the worst case per sample over all attacks of one norm, up to one size."""

    attacks: tuple[str, ...]


class SanityCheck(StoredRecord):
    """A reason to believe the accuracies, or not to; `holds` is None where the check does not apply."""

    name: str = Field(alias="check")
    holds: bool | None
    detail: str


class Headline(StoredRecord):
    """The robust accuracy at the main epsilon, as a sentence and as a number."""

    text: str
    epsilon: Epsilon
    accuracy: Rate


class ExampleBlock(StoredRecord):
    """The attack behind one block of example images in robustness.npz."""

    epsilon: Epsilon
    attack: str


class TransferMatrix(StoredRecord):
    """Accuracy of every target on the adversarial samples of every source, `[source][target]`."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    accuracy: tuple[tuple[Share, ...], ...]
    interval: tuple[tuple[tuple[Share, Share], ...], ...]
    epsilon: Epsilon
    scales: str
    attack: str


class MedianRadius(StoredRecord):
    """The median over samples of the smallest perturbation that was found.

    Args:
        norm: in which perturbations are measured.
        median: in units of [0, 1], or of the data where they have no range; None where none was found for most samples.
        interval: 95 %; an end is None in the same way.
        protocol: its unit, and how it was found.
    """

    norm: str
    median: float | None
    interval: tuple[float | None, float | None]
    protocol: str

    @property
    def text(self) -> str:
        """The median and its interval."""
        median, low, high = ("none found" if each is None else f"{each:.4g}" for each in (self.median, *self.interval))
        return f"{median} [{low}, {high}]"


class TargetRobustness(StoredRecord):
    """How robust one target is: a classifier, or a head of a discriminator.

    Args:
        name: of the target.
        samples: how many were attacked.
        evaluated_on: what kind of samples these are.
        classes: their names.
        trained_against: the training attack as text; None without one.
        remarks: warnings about the training attack.
        clean, train_clean: accuracy without attack on these and on as many training samples.
        train_attacked: accuracy on training samples under the main attack, one for each epsilon.
        epsilons, main_epsilon: sizes of the main attack, and the one that the headline is about.
        attacks: one result for each threat.
        worst: worst cases over them.
        sanity_checks: why the numbers can be believed.
        flags: the checks that failed, as text.
        headline: None if any check failed.
        radius: None where it was not asked for.
        verdict: what the target keeps, in one sentence; empty in files of earlier versions.
        examples: attacks of the example images.
        transfer: None without other networks.
    """

    name: str = Field(alias="target")
    samples: int
    evaluated_on: str
    classes: tuple[str, ...]
    trained_against: str | None
    remarks: tuple[str, ...] = ()
    clean: Rate
    train_clean: Rate | None
    train_attacked: tuple[AccuracyAt, ...]
    epsilons: tuple[Epsilon, ...]
    main_epsilon: Epsilon
    attacks: tuple[ThreatResult, ...]
    worst: tuple[WorstCase, ...]
    sanity_checks: tuple[SanityCheck, ...]
    flags: tuple[str, ...]
    headline: Headline | None
    radius: MedianRadius | None = None
    verdict: str = ""
    examples: tuple[ExampleBlock, ...]
    transfer: TransferMatrix | None


class Robustness(StoredRecord):
    """robustness.json: the targets of a run or a model under attack.

    Args:
        step: the round of the checkpoint; None for a model of the user's own.
        seed: of samples and attacks.
        targets: what was attacked.
        problems: warnings about newer checkpoints that could not be read.
        model: settings of a model of the user's own.
    """

    step: int | None
    seed: int
    targets: tuple[TargetRobustness, ...]
    problems: tuple[str, ...] = ()
    model: dict[str, Any] | None = None
