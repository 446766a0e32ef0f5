"""The numbers of a round that go to the log, beside the formulas."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sparring.networks import Verdict
from sparring.recipes import Recipe
from sparring.regimes import Origin, View

SATURATED = 10.0
"""A score of at least this size hardly passes a gradient through a bounded payoff."""


def numbers_of_view(
    recipe: Recipe,
    view: View,
    verdicts: Mapping[Origin, Verdict],
    payoffs: Mapping[Origin, Tensor],
    labels: Mapping[Origin, Tensor | None],
) -> dict[str, Tensor]:
    """D's outputs, scores, payoff and class accuracy on a view, per sample, `(*batch)`.

    Args:
        recipe: of the game.
        view: what D was shown.
        verdicts: of D on its samples.
        payoffs: of D for its samples.
        labels: the classes of its samples, where there are any.
    """
    numbers = {"payoff_d_adversarial" if view.attacked else "payoff_d": payoffs["real"] + payoffs["fake"]}
    scores = [recipe.discriminator.head.score(verdict, labels[origin]) for origin, verdict in verdicts.items()]
    stacked = torch.stack(scores).detach()
    numbers["saturated"] = (stacked.abs() > SATURATED).to(stacked).mean(0)
    for (origin, verdict), score, output in zip(verdicts.items(), stacked, torch.sigmoid(stacked), strict=True):
        name = f"{origin}_adversarial" if origin in view.attacked else origin
        numbers |= {f"d_{name}": output, f"score_{name}": score}
        if verdict.classes is not None and recipe.class_loss.needs_logits:
            numbers[f"class_accuracy_{name}"] = _is_right(verdict, labels[origin]).to(score)
    return numbers


def _is_right(verdict: Verdict, labels: Tensor | None) -> Tensor:
    """Whether the class with the largest logit is the label."""
    assert verdict.classes is not None
    assert labels is not None
    return verdict.classes.detach().argmax(-1) == labels
