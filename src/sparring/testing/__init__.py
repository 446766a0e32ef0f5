"""The contract of every family, for authors of pieces: `check(MyObjective())` raises AssertionError where it is broken.

Our own tests run it over every registered piece.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sparring.core.pieces import FAMILIES, Piece, summary
from sparring.recipes import parse_yaml
from sparring.testing import attacks, data_and_metrics, networks, payoffs, updates

__all__ = ["check"]

_CONTRACTS: dict[str, Callable[[Any], None]] = {
    "aim": attacks.check_aim,
    "attack": attacks.check_attack,
    "ball": attacks.check_ball,
    "class_loss": payoffs.check_class_loss,
    "classifier": networks.check_classifier,
    "criterion": attacks.check_criterion,
    "data": data_and_metrics.check_data,
    "delivery": payoffs.check_delivery,
    "direction": attacks.check_direction,
    "discriminator": networks.check_discriminator,
    "estimator": attacks.check_estimator,
    "extractor": networks.check_extractor,
    "feedback": payoffs.check_feedback,
    "generator": networks.check_generator,
    "head": networks.check_head,
    "lipschitz": updates.check_lipschitz,
    "metric": data_and_metrics.check_metric,
    "objective": payoffs.check_objective,
    "optimizer": updates.check_optimizer,
    "perturbation": payoffs.check_perturbation,
    "prior": networks.check_prior,
    "regime": updates.check_regime,
    "schedule": updates.check_schedule,
    "start": attacks.check_start,
}


def check(piece: Piece) -> None:
    """Check a piece against the contract of its family.

    Raises:
        AssertionError: names the broken promise.
    """
    _check_record(piece)
    if piece.family in _CONTRACTS:
        _CONTRACTS[piece.family](piece)


def _check_record(piece: Piece) -> None:
    family = FAMILIES[piece.family]
    values = piece.model_dump(mode="json")
    assert family.model_validate(values) == piece, "a piece round-trips through plain values"
    assert family.model_validate(parse_yaml(json.dumps(values), "piece")) == piece, "a piece round-trips through YAML"
    assert summary(type(piece)).endswith((".", ":")), "the first line of the docstring is a sentence for `list`"
    try:
        family.model_validate(values | {"no_such_key": 1})
    except ValueError:
        return
    raise AssertionError("a piece refuses unknown keys")
