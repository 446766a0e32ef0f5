"""The contract of every family, for authors of pieces: `check(MyObjective())` raises AssertionError where it is broken.

Our own tests run it over every registered piece.
"""

from __future__ import annotations

import json

from sparring.core.errors import UsageError
from sparring.core.pieces import FAMILIES, Piece, summary
from sparring.recipes import parse_yaml
from sparring.testing import attacks, classifiers, game, networks_and_data

__all__ = ["check"]

_CONTRACTS = {
    name.removeprefix("check_"): contract
    for module in (attacks, classifiers, game, networks_and_data)
    for name, contract in vars(module).items()
    if name.startswith("check_")
}
"""By family: `check_FAMILY` of one of the modules."""


def check(piece: Piece) -> None:
    """Check a piece against the contract of its family: what it does first, the style of its docstring last.

    Raises:
        AssertionError: names the broken promise.
        UsageError: it is no piece.
    """
    if not isinstance(piece, Piece):
        made = (
            f"{piece.__name__}()" if isinstance(piece, type) else "an instance of a subclass of Objective, Attack, ..."
        )
        raise UsageError(f"check: {piece!r} is not a piece", f"give one: {made}")
    if piece.family in _CONTRACTS:
        try:
            _CONTRACTS[piece.family](piece)
        except AssertionError:
            raise
        except Exception as error:
            what = f"{piece.family} {piece.name}: {type(error).__name__} in its contract: {error}"
            raise AssertionError(what) from error
    _check_record(piece)
    assert summary(type(piece)).endswith((".", ":")), "the first line of the docstring is a sentence for `list`"


def _check_record(piece: Piece) -> None:
    family = FAMILIES[piece.family]
    values = piece.model_dump(mode="json")
    assert family.model_validate(values) == piece, "a piece round-trips through plain values"
    assert family.model_validate(parse_yaml(json.dumps(values), "piece")) == piece, "a piece round-trips through YAML"
    try:
        family.model_validate(values | {"no_such_key": 1})
    except ValueError:
        return
    raise AssertionError("a piece refuses unknown keys")
