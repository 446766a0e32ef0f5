"""What the report knows of each logged number: its title, unit, better direction, threshold, and what to look for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from sparring.metrics import Classes
from sparring.monitoring.classifier_metrics import main_attack
from sparring.monitoring.collapse_metrics import COLLAPSE_METRICS
from sparring.recipes import ClassifierRecipe
from sparring.report.format import number, percent, target
from sparring.report.read import Run

Better = Literal["higher", "lower", ""]

_OF_VIEWS = ("d_real", "d_fake", "score_real", "score_fake", "class_accuracy_real", "class_accuracy_fake")
LOGGED = frozenset(
    {"loss", "loss_real", "loss_fake", "accuracy_real", "accuracy_fake", "gradient_classifier"}
    | {*_OF_VIEWS, "payoff_d", "payoff_g", "penalty", "saturated"}
    | {"gradient_discriminator", "gradient_generator"}
    | {f"{name}_adversarial" for name in (*_OF_VIEWS, "payoff_d")}
    | {f"attack_{side}_{name}" for side in ("real", "fake") for name in ("size", "idle", "raises")}
    | COLLAPSE_METRICS.keys()
)
"""What is logged of a round."""


@dataclass(frozen=True)
class Measure:
    """How one measure is shown.

    Args:
        name: in the log.
        title: of its chart and its row.
        unit: the label of its axis.
        better: the direction of success, if there is one.
        look: one sentence that says what to look for.
        is_share: shown in percent.
        floor: the name of what the measure reads on real data, drawn beside it.
        level: the label of that line.
        spread: the name of its standard deviation, which has no chart of its own.
        one: the unit of exactly one.
        lowest: where its axis starts; None where values may be negative.
        is_attacked: whether it is measured under an attack that the recipe settles.
    """

    name: str
    title: str
    unit: str
    better: Better
    look: str
    is_share: bool = False
    floor: str = ""
    level: str = "floor: real against real"
    spread: str = ""
    one: str = ""
    lowest: float | None = 0.0
    is_attacked: bool = False

    @property
    def scale(self) -> float:
        """What a value is multiplied with to be drawn."""
        return 100.0 if self.is_share else 1.0

    def amount(self, value: float | None) -> str:
        """A value with its unit, as in a sentence."""
        if value is None or not self.unit:
            return number(value)
        return (
            percent(value) if self.is_share else f"{number(value)} {self.one if value == 1 and self.one else self.unit}"
        )


_KNOWN = (
    Measure(
        "modes", "Modes covered", "modes", "higher",
        "A game has learned the mixture when its line is at the top.", one="mode",
    ),
    Measure(
        "classes", "Classes covered", "classes", "higher",
        "A success covers every class; one alone is a collapse.", one="class",
    ),
    Measure(
        "high_quality", "High quality", "share of samples (%)", "higher",
        "Samples close to a mode; high here with few modes above is a collapse.", is_share=True,
    ),
    Measure(
        "recognisable", "Recognisable", "share of samples (%)", "higher",
        "Samples that the classifier is sure about, whatever class it sees.", is_share=True,
    ),
    Measure(
        "total_variation", "Distance of classes from uniform", "total variation (0 to 1)", "lower",
        "Near 0 all classes are equally frequent; near 0.9 of ten classes only one is made.",
    ),
    Measure(
        "wasserstein2", "Distance to real samples", "Wasserstein-2 (units of the data)", "lower",
        "The closer to the floor (real against real), the better the whole distribution is matched.",
        floor="wasserstein2_floor",
    ),
    Measure(
        "frechet_distance", "Fréchet distance", "Fréchet distance of features", "lower",
        "The closer to the floor (as many real images against the same), the better; unlike extractors do not compare.",
        floor="frechet_floor",
    ),
    Measure(
        "kernel_distance", "Kernel distance", "kernel distance of features", "lower",
        "The closer to the floor (as many real images against the same), the better; unlike extractors do not compare.",
        floor="kernel_floor", spread="kernel_distance_std", lowest=None,
    ),
    Measure(
        "inception_score", "Inception score", "score", "higher",
        "High when every image is of one clear class and all classes occur; that of as many real images is the mark.",
        floor="inception_score_real", level="real images", spread="inception_score_std",
    ),
    Measure(
        "accuracy_test", "Accuracy", "share of samples (%)", "higher",
        "Of held-out samples; what lies between them and as many training samples is the gap.", is_share=True,
        floor="accuracy_train", level="training samples",
    ),
    Measure(
        "robust_accuracy_test", "Accuracy under attack", "share of samples (%)", "higher",
        "Of held-out samples; the gap to training samples is larger than without an attack (figure 2, left, of "
        "Rob-GAN).", is_share=True,
        floor="robust_accuracy_train", level="training samples", is_attacked=True,
    ),
    Measure(
        "llv_test", "Local Lipschitz value", "mean gradient norm (per unit)", "",
        "Of the cross-entropy at held-out and at training samples: the smaller, the less a small step can do; what is "
        "small on training samples alone does not protect others (figure 2, right, of Rob-GAN).",
        floor="llv_train", level="training samples",
    ),
    Measure("accuracy_train", "Accuracy, training samples", "", "", "", is_share=True),
    Measure(
        "robust_accuracy_train", "Accuracy under attack, training samples", "", "", "", is_share=True, is_attacked=True
    ),
    Measure("llv_train", "Local Lipschitz value, training samples", "mean gradient norm (per unit)", "", ""),
    Measure("success", "Success", "1 = success", "higher", "Whether the criterion was met at each measurement."),
    Measure("success_rate", "Share of successful games", "", "", ""),
    Measure("ever_success_rate", "Share of games with any success", "", "", ""),
    Measure("steps_to_success", "Rounds to first success", "rounds", "", ""),
    Measure("wasserstein2_floor", "Floor of Wasserstein-2", "units of the data", "", ""),
    Measure("frechet_floor", "Floor of the Fréchet distance", "Fréchet distance of features", "", ""),
    Measure("kernel_floor", "Floor of the kernel distance", "kernel distance of features", "", ""),
    Measure("kernel_distance_std", "Spread of the kernel distance", "standard deviation over subsets", "", ""),
    Measure("inception_score_std", "Spread of the inception score", "standard deviation over splits", "", ""),
    Measure("inception_score_real", "Inception score of real images", "score", "", ""),
)  # fmt: skip
_OF_D = (
    Measure("probe_d_real", "D on real evaluation samples", "D(x)", "", ""),
    Measure("probe_d_adversarial", "D on the same samples, attacked by 1/255", "D(x)", "", ""),
    Measure("probe_d_fake", "D on fresh generated samples", "D(x)", "", ""),
    Measure("input_gradient_l1", "Input gradient of D: L1 norm", "score per unit", "", ""),
    Measure("input_gradient_sparsity", "Input gradient of D: sparsity (0 to 1)", "", "", ""),
    Measure("input_gradient_norm", "Input gradient of D: Euclidean norm", "score per unit", "", ""),
    Measure("input_gradient_norm_max", "Input gradient of D: largest Euclidean norm", "score per unit", "", ""),
    Measure("critic_distance", "Critic's estimate: score of real less generated", "score", "", ""),
    Measure("wasserstein1", "Exact Wasserstein-1 distance of the same samples", "units of the data", "", ""),
    Measure("attacks_fake", "Attacks until D takes generated samples for real", "attacks", "", ""),
    Measure("attacks_real", "Attacks until D takes real samples for generated", "attacks", "", ""),
    Measure("attacks_fake_reached", "… generated samples that got there", "", "", "", is_share=True),
    Measure("attacks_real_reached", "… real samples that got there", "", "", "", is_share=True),
    Measure("attacks_fake_overshot", "… generated samples that jumped over", "", "", "", is_share=True),
    Measure("attacks_real_overshot", "… real samples that jumped over", "", "", "", is_share=True),
)
_AT_BEST = tuple(
    replace(measure, name=f"{measure.name}_best", title=f"{measure.title}, at the best round under attack", better="")
    for measure in _KNOWN
    if "accuracy" in measure.name or "llv" in measure.name
)
MEASURES = {measure.name: measure for measure in (*_KNOWN, *_AT_BEST, *_OF_D)}
OF_D = frozenset(measure.name for measure in _OF_D)
"""Measures of the discriminator; what is neither here nor logged of a round is a measure of the generator."""

PRIMARY = ("modes", "classes")
"""What a success is about, in order of preference."""

LONGEST = 40
"""Letters of an axis label."""


def measure_of(name: str) -> Measure:
    """How a measure is shown; one that is not known here goes under its own name."""
    unit = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return MEASURES.get(name, Measure(name, name, unit, "", "A measure of the generator over rounds.", lowest=None))


def measured(run: Run) -> list[Measure]:
    """The measures of the generator that a run logged, those of a success first."""
    names = [name for name in run.logged if name not in LOGGED | OF_D]
    ordered = sorted(names, key=lambda name: (name not in PRIMARY, names.index(name)))
    return [_with_budget(measure_of(name), run) for name in ordered]


def _with_budget(measure: Measure, run: Run) -> Measure:
    """The measure with the attack that it is under in its title: accuracies under unlike attacks do not compare."""
    if not (measure.is_attacked and isinstance(run.recipe, ClassifierRecipe)):
        return measure
    attack = main_attack(run.recipe.trained_against)
    size = f"{255 * attack.epsilon:.3g}/255" if run.recipe.data.bounded else number(attack.epsilon)
    under = f"under PGD-{attack.steps}, {attack.ball.norm} {size}"
    return replace(measure, title=measure.title.replace("under attack", under))


def primary(run: Run) -> Measure | None:
    """The measure that tells most about a run."""
    return next(iter(measured(run)), None)


def telling(run: Run) -> list[Measure]:
    """The measures that runs are told apart by, the primary one first."""
    found = measured(run)
    return found[:1] + [measure for measure in found[1:] if measure.is_attacked and measure.better]


def threshold(measure: Measure, run: Run) -> float | None:
    """What a success needs of a measure, where that is a number."""
    criterion = Classes()
    needs: dict[str, float | None] = {
        "total_variation": criterion.total_variation,
        "recognisable": criterion.recognisable,
    }
    return float(target(run) or 0) or None if measure.name in PRIMARY else needs.get(measure.name)
