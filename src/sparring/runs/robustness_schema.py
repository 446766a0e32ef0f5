"""The records of robustness.json: written by evaluations under attack, read by reports and model cards."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from sparring.core.intervals import percent
from sparring.runs.stored_record import StoredRecord

ROBUSTNESS, ROBUSTNESS_EXAMPLES = "robustness.json", "robustness.npz"
"""File names in a run folder."""

Share = Annotated[float, Field(ge=0, le=1)]
Epsilon = Annotated[float, Field(ge=0)]


class Rate(StoredRecord):
    """A share of samples with its 95 % Wilson interval."""

    value: Share
    interval: tuple[Share, Share]

    def __str__(self) -> str:
        """In percent: `61.5 % [57.1, 65.7]`."""
        low, high = self.interval
        return f"{percent(self.value)} [{100 * low:.1f}, {100 * high:.1f}]"


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

    def __str__(self) -> str:
        """The accuracy without attack and in each worst case, with 95 % intervals, and the flags: a line each."""
        worst = {f"worst case, {case.norm}, {case.scales}": case.accuracy for case in self.worst}
        rows = [f"  {what}: {accuracy}" for what, accuracy in ({"without attack": self.clean} | worst).items()]
        flags = [f"  FLAG: {flag}" for flag in self.flags]
        return "\n".join([f"{self.name}, {self.samples:,} {self.evaluated_on} samples", *rows, *flags])

    __repr__ = __str__


class Robustness(StoredRecord):
    """robustness.json: the targets of a run or a model under attack.

    Args:
        step: the round of the checkpoint; None for a model of the user's own.
        seed: of samples and attacks.
        targets: what was attacked.
        game: index of the packed game.
        problems: warnings about newer checkpoints that could not be read.
        model: settings of a model of the user's own.
    """

    step: int | None
    seed: int
    targets: tuple[TargetRobustness, ...]
    game: int = 0
    problems: tuple[str, ...] = ()
    model: dict[str, Any] | None = None
