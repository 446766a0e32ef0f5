"""Charts of D over rounds: under attack, its input gradients, its estimate of the distance, and the attacks on it.

Source: AS-GAN, figures 5b and 6; Direct Adversarial Training for GANs, figures 4, 5, 7.
"""

from __future__ import annotations

from sparring.attacks import Attack, in_scales
from sparring.monitoring.discriminator_probe import ATTACK
from sparring.recipes import Recipe
from sparring.regimes import AdversarialRegime
from sparring.report.charts import BLUE, GREEN, INK, PURPLE, VERMILLION, Chart, Line, Mark, lines_of
from sparring.report.exhibits import histogram
from sparring.report.format import is_critic, number, output
from sparring.report.read import Run

_SIDES = (("real", BLUE), ("fake", VERMILLION))
_NAMES = {"real": "on real", "fake": "on generated"}


def undecided(recipe: Recipe) -> tuple[Mark, ...]:
    """The mark of a D that cannot tell; a critic's score has no such place."""
    return () if is_critic(recipe) else (Mark(0.5, "undecided"),)


def discriminator_charts(run: Run, key: str) -> list[Chart]:
    """What a run has to show of its D; less of points of the plane, where D's whole landscape is drawn.

    Args:
        run: what to draw.
        key: a prefix that is unique on the page.
    """
    probed = [*_probed(run, key), *histogram(run, key)] if run.recipe.data.bounded else []
    return [chart for chart in (*probed, *_critic(run, key), *_attacks(run, key)) if chart.lines]


def _probed(run: Run, key: str) -> list[Chart]:
    outputs = (
        lines_of(run, "probe_d_real", BLUE, "real")
        + lines_of(run, "probe_d_adversarial", PURPLE, "real, attacked")
        + lines_of(run, "probe_d_fake", VERMILLION, "generated")
    )
    return [
        Chart(
            f"{key}-probe", "D under one fixed attack",
            f"Real evaluation samples; in every run an FGSM step of {in_scales(ATTACK.epsilon)}: the less real "
            "and attacked differ, the more robust is D (figure 6 of AS-GAN). Eval mode: batch normalisation, where D "
            "has it, uses running statistics, and D is another than at play.",
            output(run.game), outputs, undecided(run.game), (0.0, 1.0),
        ),
        Chart(
            f"{key}-l1", "Input gradient of D: L1 norm",
            "At real evaluation samples; adversarial training lowers it (figure 5b of AS-GAN).",
            "mean L1 norm (score per unit)", lines_of(run, "input_gradient_l1", GREEN, "mean of samples"),
            limits=(0.0, None),
        ),
        Chart(
            f"{key}-sparsity", "Input gradient of D: sparsity",
            "Hoyer's measure: 0 where all pixels weigh alike, 1 where one alone does; of noise about 0.2.",
            "mean sparsity (0 to 1)", lines_of(run, "input_gradient_sparsity", GREEN, "mean of samples"),
            limits=(0.0, 1.0),
        ),
    ]  # fmt: skip


def _critic(run: Run, key: str) -> list[Chart]:
    """The critic's estimate; only of a Wasserstein game is it one."""
    if not is_critic(run.game):
        return []
    exact = lines_of(run, "wasserstein1", INK, "exact Wasserstein-1", dash="--")
    against = ", and the exact distance of the same points" if exact else ""
    return [
        Chart(
            f"{key}-critic", "The critic's estimate of the Wasserstein distance",
            f"Mean score of real less generated samples{against} (figures 4, 5 and 7 of DAT). A lower bound where "
            "D's slope is at most 1, and a multiple of one otherwise.",
            "distance (units of the data)",
            _gap(run) + lines_of(run, "critic_distance", GREEN, "evaluation") + exact, limits=(None, None),
        )
    ]  # fmt: skip


def _gap(run: Run) -> tuple[Line, ...]:
    real, fake = run.series("score_real"), run.series("score_fake")
    if real is None or fake is None or len(real.steps) != len(fake.steps):
        return ()
    return (Line("training batches", real.steps, real.values - fake.values, PURPLE),)


def _attacks(run: Run, key: str) -> list[Chart]:
    """The regime's own attacks, as D met them in training."""
    regime = run.game.regime
    if not isinstance(regime, AdversarialRegime):
        return []
    moods = [
        line
        for side, colour in _SIDES
        for name, label, dash in (("idle", "idle", "-"), ("raises", "raising", ":"))
        for line in lines_of(run, f"attack_{side}_{name}", colour, f"{_NAMES[side]}: {label}", 100.0, dash)
        if line.values.any()
    ]
    return [
        size_chart(run, regime.attack, key),
        Chart(
            f"{key}-moods", "Training attacks that idle or turn round",
            "Idle: D's gradient is 0 and nothing moves. Raising: the aim drives D's payoff up, not down.",
            "share of attacked samples (%)", tuple(moods), limits=(0.0, 100.0),
        ),
    ]  # fmt: skip


def size_chart(run: Run, attack: Attack, key: str) -> Chart:
    """How far the attacks of training moved samples.

    Args:
        run: what to draw.
        attack: of its recipe.
        key: a prefix that is unique on the page.
    """
    ball, epsilon = attack.ball, attack.epsilon
    limited, in_range = ball.limited, run.recipe.data.bounded
    units = "units of [0, 1]" if in_range else "units of the data"
    told = f"Epsilon is {in_scales(epsilon) if in_range else number(epsilon)}. " if limited else ""
    marks = (Mark(epsilon, "epsilon"),) if limited else ()
    sizes = [line for side, colour in _SIDES for line in lines_of(run, f"attack_{side}_size", colour, _NAMES[side])]
    return Chart(
        f"{key}-sizes", "Size of the training attacks",
        f"{told}Mean size of the perturbations that were trained on, in {units}.",
        f"{ball.norm} size ({units})", tuple(sizes), marks, (0.0, 1.25 * epsilon if limited and epsilon else None),
    )  # fmt: skip
