"""`check`: a piece against the contract of its family."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sparring.core.pieces import FAMILIES, Piece, summary
from sparring.recipes import parse_yaml
from sparring.testing import (
    attacks,
    data,
    feedback,
    lipschitz,
    metrics,
    networks,
    objectives,
    optimization,
    regimes,
)

_MODULES: tuple[Any, ...] = (attacks, data, feedback, lipschitz, metrics, networks, objectives, optimization, regimes)
_CONTRACTS: dict[type[Piece], Callable[[Any], None]] = {
    family: contract for module in _MODULES for family, contract in module.CONTRACTS.items()
}


def check(piece: Piece) -> None:
    """Check a piece against the contract of its family.

    Raises:
        AssertionError: names the broken promise.
    """
    _check_record(piece)
    for family, contract in _CONTRACTS.items():
        if isinstance(piece, family):
            contract(piece)


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
