"""Masked gradients, as the attacks of a figure show them: whoever has no gradients fools more samples with less.

Source: Athalye, Carlini, Wagner 2018, section 3.1; Carlini et al. 2019, On evaluating adversarial robustness.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from sparring.core.intervals import percent
from sparring.robustness.checks import HALF_A_POINT, check, share
from sparring.robustness.trials import Trial
from sparring.runs.schema import SanityCheck

_WITHOUT_GRADIENTS = ("black-box", "transfer", "noise")


def standing(trials: Sequence[Trial]) -> Bool[Tensor, " n"]:
    """The samples that all of these leave classified right."""
    return torch.stack([trial.stands for trial in trials]).all(0)


def gradients_are_strongest(trials: Sequence[Trial]) -> SanityCheck:
    """Whether all attacks with gradients together fool at least as many samples as any one without, at equal budgets.

    Args:
        trials: of one subject.
    """
    name, found = "gradients are strongest", list[tuple[float, float, str]]()
    for trial in trials:
        peers = [each for each in trials if (each.norm, each.epsilon) == (trial.norm, trial.epsilon)]
        inside = [each for each in peers if each.kind == "white-box"]
        if trial.kind in _WITHOUT_GRADIENTS and inside:
            found.append((share(standing(inside)), share(trial.stands), trial.name))
    if not found:
        return check(name, None, "no attack without gradients was tried beside one with them")
    with_them, without, strongest = max(found, key=lambda row: row[0] - row[1])
    detail = f"accuracy {percent(with_them)} under all with gradients, {percent(without)} under {strongest}"
    return check(name, with_them <= without + HALF_A_POINT, detail)
