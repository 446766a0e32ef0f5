"""Every registered piece against the contract of its family: a new piece is tested by existing."""

from __future__ import annotations

import pytest

from sparring.core.pieces import FAMILIES, Piece, find, members, piece
from sparring.core.shapes import Scores
from sparring.objectives import Hinge, Objective
from sparring.testing import check  # imports every family

ARGUMENTS = {
    ("objective", "apart"): {"f_d": "log", "f_g": "linear"},
    ("perturbation", "power"): {"exponent": 3.0},
    ("perturbation", "function"): {"psi": "torch:square"},
    ("feedback", "flip"): {"probability": 0.4},
    ("feedback", "mixture"): {"perturbations": [{"perturbation": "sqrt", "probability": 0.3}]},
    ("generator", "mlp"): {"latent": 5},
    ("generator", "mnist"): {"latent": 5, "width": 4},
    ("generator", "resnet"): {"latent": 5, "width": 4},
    ("generator", "asgan_resnet"): {"width": 8},
    ("discriminator", "asgan_resnet"): {"width": 8},
    ("generator", "dcgan"): {"width": 8},
    ("discriminator", "dcgan"): {"width": 8},
    ("discriminator", "mnist"): {"width": 4},
    ("discriminator", "resnet"): {"width": 4},
    ("generator", "robgan_resnet"): {"latent": 5, "width": 2},
    ("generator", "sngan_resnet"): {"latent": 5, "width": 2},
    ("discriminator", "robgan_resnet"): {"width": 2},
    ("discriminator", "sngan_resnet"): {"width": 2},
    ("discriminator", "trunk"): {"classifier": {"name": "small_cnn", "width": 2}},
    ("classifier", "branch"): {"discriminator": {"name": "robgan_resnet", "width": 2}},
    ("classifier", "preact_resnet18"): {"width": 2},
    ("classifier", "vgg16"): {"width": 2},
    ("attack", "gradient"): {"epsilon": 0.1, "ball": "l2", "direction": "normalised", "steps": 3},
    ("attack", "square"): {"queries": 60},
    ("attack", "square_l2"): {"queries": 60},
    ("lipschitz", "together"): {"controls": ["spectral_norm", {"name": "zero_centred", "at": "both"}]},
    ("classifier", "small_resnet"): {"width": 4},
    ("optimizer", "adam"): {"lr": 0.1},
    ("optimizer", "rmsprop"): {"lr": 0.1},
    ("optimizer", "sgd"): {"lr": 0.1},
}
"""Values for the keys that have no default; a piece that is missing here must build from its name alone."""

ON_DISK = {("data", "store"), ("extractor", "inception")}
"""Checked in tests of their own, which make the files first."""

EVERY = [(family, name) for family in FAMILIES for name in members(FAMILIES[family])]


@pytest.mark.parametrize(("family", "name"), [pair for pair in EVERY if pair not in ON_DISK])
def test_a_registered_piece_keeps_its_contract(family: str, name: str) -> None:
    values = {"name": name} | ARGUMENTS.get((family, name), {})
    check(FAMILIES[family].model_validate(values))


def test_every_family_has_members() -> None:
    assert not [family for family in FAMILIES if not members(FAMILIES[family])]


class _Backwards(Hinge):
    """Pays D for mistakes."""

    def real(self, score: Scores) -> Scores:
        return -super().real(score)


def test_the_contract_can_be_broken() -> None:
    with pytest.raises(AssertionError, match="D is paid"):
        check(_Backwards())


def test_a_foreign_piece_is_found_by_its_import_path() -> None:
    reference = f"{_Backwards.__module__}:_Backwards"
    assert find(Objective, reference).__name__ == "_Backwards"  # type: ignore[type-abstract]
    assert Objective.model_validate(reference).name == reference


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="already"):
        piece("hinge")(type("Again", (Objective,), {}))


def test_a_piece_is_frozen() -> None:
    made: Piece = Hinge()
    with pytest.raises(ValueError, match="frozen"):
        made.margin = 2.0  # type: ignore[attr-defined]
