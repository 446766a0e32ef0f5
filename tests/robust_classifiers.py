"""Tiny classifiers for tests of robust training."""

from __future__ import annotations

from typing import Any

import torch

from sparring.classifier.state import ClassifierState
from sparring.recipes import ClassifierRecipe, changed, require_classifier, validated

CPU = torch.device("cpu")


def robust_recipe(*overrides: str) -> ClassifierRecipe:
    """A small residual network with batch normalisation on the digits, under FGSM."""
    values: dict[str, Any] = {
        "classifier": {"name": "small_resnet", "width": 2},
        "data": "digits",
        "attack": {"name": "fgsm", "epsilon": 0.1},
        "optimizer": {"name": "sgd", "lr": 0.05},
        "batch_size": 16,
        "steps": 12,
        "log_every": 3,
        "checkpoint_every": 4,
        "evaluate_every": 0,
    }
    return require_classifier(validated(changed(values, list(overrides)), "tiny"), "tiny")


def robust_state(*overrides: str) -> ClassifierState:
    """The state before the first round."""
    recipe = robust_recipe(*overrides)
    return ClassifierState.build(recipe, recipe.data.open(CPU), CPU)
