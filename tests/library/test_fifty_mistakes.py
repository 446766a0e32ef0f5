"""Fifty plausible mistakes in Python, written down before the code was read.

Each one works as meant, or is answered in one line that names the argument and a remedy.
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sparring
from sparring.attacks import APGD, FGSM, PGD, Threat
from sparring.core.errors import SparringError
from sparring.core.randomness import Rng
from sparring.core.shapes import Space
from sparring.feedback import Flipping
from sparring.lipschitz import GradientPenalty, InstanceNoise
from sparring.objectives import Hinge
from sparring.regimes import OwnDiscriminator, Plain
from sparring.robustness.budgets import sizes_from
from sparring.robustness.own_model import OwnModel
from sparring.runs.folder import RunFolder
from sparring.testing import check

SHAPE = (3, 4, 4)
IMAGES = Rng.of(0).uniform((6, *SHAPE))
SIGNED = 2 * IMAGES - 1
MODEL = nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
MODEL.load_state_dict({"1.weight": Rng.of(1).normal((5, 48)), "1.bias": torch.zeros(5)})
LABELS = MODEL(IMAGES).argmax(1)
FGSM_IMAGES = sparring.attack(MODEL, IMAGES, LABELS, "fgsm", epsilon=0.1)


class Tuple(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return MODEL(x), x


def exits() -> nn.Module:
    sys.exit("no weights here")


def per_sample(x: Tensor) -> Tensor:
    return F.cross_entropy(MODEL(x), LABELS, reduction="none")


def fgsm(images: Any = IMAGES, labels: Any = LABELS, model: Any = MODEL, **settings: Any) -> Tensor:
    return sparring.attack(model, images, labels, "fgsm", **{"epsilon": 0.1} | settings)


def called(x: Any = IMAGES, loss: Any = per_sample, **settings: Any) -> Tensor:
    return FGSM(epsilon=0.1)(x, loss, **{"network": MODEL, "space": (0, 1), "rng": 0} | settings)


def robust(**settings: Any) -> Any:
    return sparring.robust_accuracy(MODEL, IMAGES, LABELS, **{"epsilons": [0.1], "threats": "fgsm"} | settings)


def score(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> sparring.Run:
    folder = tmp_path_factory.mktemp("library") / "run"
    short = {"steps": 2, "batch_size": 8, "evaluate_every": 0, "sample_every": 0}
    return sparring.train("robgan/digits", out=str(folder), device=torch.device("cpu"), **short)


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    # Pieces.
    "a wrong keyword": (lambda: PGD(eps=8 / 255), "eps = .* did you mean epsilon"),
    "a wrong range": (lambda: PGD(epsilon=-1), "epsilon = -1: should be greater than or equal to 0"),
    "a probability above 1": (
        lambda: Flipping(probability=1.4),
        "probability = 1.4: should be less than or equal to 1",
    ),
    "half a keyword": (lambda: Flipping(prob=0.4), "prob = 0.4: .*did you mean probability"),
    "a word for a number": (lambda: Flipping(probability="often"), "probability = 'often': should be a valid number"),
    "a required key left out": (lambda: Flipping(), "probability = .nothing.: this key is required"),
    "no steps": (lambda: PGD(steps=0), "steps = 0: should be greater than or equal to 1"),
    "a positional value": (lambda: PGD(8 / 255), r"PGD\(0.03.*the value has no key .*epsilon"),
    "a misspelt choice": (lambda: PGD(ball="linfty"), "ball.name = 'linfty': no such ball; did you mean linf"),
    "the key of another library": (lambda: PGD(norm="linf"), "norm = 'linf': unknown key; allowed: epsilon, ball"),
    "an assignment": (lambda: setattr(PGD(), "epsilon", 0.1), "epsilon = 0.1: a PGD is frozen .try: make another"),
    "a name of no attack": (
        lambda: sparring.attack(MODEL, IMAGES, LABELS, "pdg"),
        "'pdg': no such attack; did you mean pgd",
    ),
    "a wrong key of an attack": (lambda: fgsm(eps=0.1), "eps = 0.1: unknown key; did you mean epsilon"),
    # Attacks.
    "8 for 8/255": (
        lambda: FGSM(epsilon=8)(IMAGES, per_sample, network=MODEL, space=(0, 1), rng=0),
        "epsilon = 8: .*8/255",
    ),
    "8 for 8/255, by name": (lambda: fgsm(epsilon=8), "epsilon = 8: .*8/255"),
    "a string for rng": (lambda: fgsm(rng="seed"), "rng = 'seed': .*give rng=0 or a torch.Generator"),
    "swapped bounds": (lambda: fgsm(bounds=(1, 0)), r"bounds = \(1, 0\): 1 is not below 0"),
    "one number for bounds": (lambda: fgsm(bounds=1.0), "bounds = 1.0: should be two numbers"),
    "a space of other images": (lambda: called(space=Space((1, 8, 8), (0, 1))), "samples of shape .*: space says"),
    "bytes": (lambda: called((255 * IMAGES).byte()), r"x: uint8 of shape .*wanted floating-point.*x / 255"),
    "[-1, 1] said to be [0, 1]": (
        lambda: called(SIGNED),
        r"x: from -0.99.* outside of the range \[0, 1\].*bounds=\(-1, 1\)",
    ),
    "[0, 255] said to be [0, 1]": (lambda: fgsm(255 * IMAGES), r"images: from .* outside of .*bounds=\(0, 255\)"),
    "normalised images": (
        lambda: fgsm((IMAGES - 0.45) / 0.22),
        "images: from -.* outside of .*let the network do that",
    ),
    "[0, 1] said to be [-1, 1]": (
        lambda: fgsm(bounds=(-1, 1)),
        r"every epsilon is 2 times too large: say bounds=\(0, 1\)",
    ),
    "NaN": (lambda: fgsm(IMAGES / 0 * 0), "images: .* not finite .*isfinite"),
    "no images": (lambda: fgsm(IMAGES[:0], LABELS[:0]), "images: float32 of shape .0, 3, 4, 4. is empty"),
    "no images for a call": (lambda: called(IMAGES[:0]), "x: .* is empty .try: give at least one"),
    "a path for images": (lambda: fgsm("images.npy"), "images: a str, no array of numbers.*for example torch.rand"),
    "channels last": (
        lambda: fgsm(IMAGES.permute(0, 2, 3, 1), model=nn.Conv2d(3, 5, 4)),
        "channels come first: images.perm",
    ),
    "one image": (lambda: fgsm(IMAGES[0], LABELS[:1]), r"images.unsqueeze\(0\)"),
    "a mean for a loss": (
        lambda: called(loss=lambda x: per_sample(x).mean()),
        r"loss: returned shape \(\), .*reduction=",
    ),
    "a loss without graph": (lambda: called(loss=lambda x: per_sample(x.detach())), "loss: does not depend .*detach"),
    "nothing returned": (lambda: called(loss=lambda x: None), "loss: returned a NoneType, wanted one number a sample"),
    # Models.
    "a tuple": (lambda: fgsm(model=Tuple()), "Tuple: .*it returns a tuple, not logits alone .try: give a network"),
    "a class": (lambda: fgsm(model=Tuple), r"model: the class Tuple, .*make one: Tuple\(\)"),
    "a function": (lambda: fgsm(model=lambda x: MODEL(x)), "model: a function, wanted a network"),
    "half precision": (lambda: fgsm(model=nn.Linear(2, 2).half()), r"model: has float16 weights.*\.float\(\)"),
    "a model without weights": (
        lambda: fgsm(model=nn.Linear(2, 2, device="meta")),
        "model: has meta weights.*load its",
    ),
    "a model of other images": (
        lambda: fgsm(model=nn.Linear(7, 5)),
        "Linear: cannot run on samples of shape .3, 4, 4.",
    ),
    "one score a sample": (lambda: fgsm(model=nn.Flatten(0)), "not into logits .* one logit for each"),
    "probabilities": (lambda: fgsm(model=nn.Sequential(MODEL, nn.Softmax(1))), "model: outputs are prob.*softmax out"),
    "a factory that exits": (
        lambda: OwnModel(model=f"{__name__}:exits").load(torch.device("cpu")),
        "model = .*: cannot be made: SystemExit: no weights here .try: name a function",
    ),
    # Labels.
    "labels from 1": (
        lambda: fgsm(labels=torch.tensor([1, 2, 3, 4, 5, 5])),
        "labels: from 1 to 5.*count from 0: labels - 1",
    ),
    "other labels": (lambda: fgsm(labels=LABELS + 7), "labels: from .* and the model has 5 classes, 0 to 4"),
    "too few labels": (
        lambda: fgsm(labels=LABELS[:3]),
        "labels: int64 of shape .3,., wanted one class number for each of 6",
    ),
    "soft labels": (lambda: fgsm(labels=torch.full((6,), 0.5)), "labels: float32 .* no whole numbers .try: give class"),
    # Robustness.
    "8 for 8/255, in a list": (lambda: robust(epsilons=[8]), "epsilons: 8 is more than the whole range .try: .*8/255"),
    "a size of nothing": (lambda: robust(epsilons=["8/0"]), "epsilons: '8/0' is no size .try: write"),
    "a misspelt threat": (lambda: robust(threats=["fgms"]), "threats: there is no 'fgms'; did you mean fgsm"),
    # Runs.
    "no such run": (lambda: sparring.load("runs/nothing"), "runs/nothing: not a run folder"),
    "a misspelt recipe": (
        lambda: sparring.train("robgan/digit", out="x"),
        "robgan/digit: .*did you mean robgan/digits",
    ),
    "a misspelt key": (
        lambda: sparring.train("robgan/digits", out="x", step=2),
        "step = 2: unknown key; did you mean steps",
    ),
    "a word for rounds": (lambda: sparring.train("robgan/digits", out="x", steps="many"), "steps = 'many': should be"),
    "a key below a number": (lambda: sparring.train("robgan/digits", out="x", **{"steps.n": 2}), "steps holds no keys"),
    "no such device": (lambda: sparring.load(".", device="gpu"), "device 'gpu': this machine has none .try: use auto"),
    "a misspelt function": (lambda: sparring.lood, "sparring has no 'lood'; did you mean load"),
    # Pieces in one's own loop.
    "a class for a piece": (lambda: check(Hinge), r"check: .* is not a piece .try: give one: Hinge\(\)"),
    "no source of numbers": (lambda: Rng.of(None), "rng = None: no source of random numbers .try: give rng=0"),
    "a network of two scores": (
        lambda: OwnDiscriminator(MODEL, torch.optim.SGD(MODEL.parameters(), 0.1), Hinge(), space=None).update(
            Plain(), IMAGES, IMAGES
        ),
        "network: returned shape .6, 5., wanted one score a sample",
    ),
}

OF_A_RUN: dict[str, tuple[Callable[[sparring.Run], object], str]] = {
    "no samples": (lambda run: run.sample(0), "count = 0: should be at least 1"),
    "no such label": (lambda run: run.sample(4, label=12), "label = 12: no such class .try: the classes are 0 to 9"),
    "no such name": (
        lambda run: run.sample(4, label="ten"),
        "label 'ten': no such class .try: a number from 0 to 9, or",
    ),
    "labels of another number": (
        lambda run: run.sample(4, label=[1, 2]),
        r"label = \[1, 2\]: should be a class, or one for",
    ),
    "a taken folder": (
        lambda run: sparring.train("robgan/digits", out=run.path),
        "holds a run already .try: .*another",
    ),
    "no such game": (lambda run: sparring.load(run.path, game=3), "game 3: the run has 1"),
    "the last game": (lambda run: sparring.load(run.path, game=-1), "game -1: the run has 1, counted from 0"),
}

WORKING: dict[str, Callable[[], Tensor]] = {
    "int32 labels": lambda: fgsm(labels=LABELS.int()),
    "uint8 labels": lambda: fgsm(labels=LABELS.byte()),
    "float labels": lambda: fgsm(labels=LABELS.float()),
    "one-hot labels": lambda: fgsm(labels=F.one_hot(LABELS, 5)),
    "float one-hot labels": lambda: fgsm(labels=F.one_hot(LABELS, 5).float()),
    "NumPy labels": lambda: fgsm(labels=LABELS.numpy()),
    "a list of labels": lambda: fgsm(labels=LABELS.tolist()),
    "NumPy images": lambda: fgsm(IMAGES.numpy()),
    "fp64 images": lambda: fgsm(IMAGES.double()),
    "an fp64 network": lambda: fgsm(model=copy.deepcopy(MODEL).double()).float(),
    "an epsilon in words": lambda: fgsm(epsilon="51/510"),
    "an attack as a piece": lambda: sparring.attack(MODEL, IMAGES, LABELS, FGSM(epsilon=0.1)),
    "[-1, 1] with its range": lambda: (fgsm(SIGNED, model=nn.Sequential(Half(), MODEL), bounds=[-1, 1]) + 1) / 2,
    "an int for rng": lambda: called(rng=0),
    "a NumPy int for rng": lambda: fgsm(rng=np.int64(3)),
    "a generator for rng": lambda: called(rng=torch.Generator().manual_seed(0)),
    "a stream for rng": lambda: called(rng=Rng.of(0)),
    "a list for bounds": lambda: called(space=[0, 1]),
    "a list for a shape": lambda: called(space=Space([3, 4, 4], [0, 1])),
    "an fp64 array in a call": lambda: called(IMAGES.double().numpy()),
}


class Half(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x + 1) / 2


def answer(make: Callable[[], object]) -> str:
    """What a mistake is answered with: an error, or a suspicion said aloud."""
    with pytest.raises((SparringError, UserWarning, AttributeError)) as caught:
        make()
    if isinstance(caught.value, SparringError):
        assert caught.value.remedy
    return str(caught.value)


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_there_are_fifty() -> None:
    assert len(MISTAKES) + len(OF_A_RUN) + len(WORKING) >= 50


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_in_one_line(mistake: str) -> None:
    make, said = MISTAKES[mistake]
    _is_one_line(answer(make), said)


@pytest.mark.parametrize("mistake", OF_A_RUN)
def test_a_mistake_with_a_run_is_answered_in_one_line(run: sparring.Run, mistake: str) -> None:
    make, said = OF_A_RUN[mistake]
    _is_one_line(answer(lambda: make(run)), said)


def _is_one_line(text: str, said: str) -> None:
    assert "\n" not in text
    assert re.search(said, text), text


def test_a_run_of_fewer_rounds_than_the_recipe_has_says_so(run: sparring.Run) -> None:
    assert run.recipe.planned_steps == 4000
    assert run.summary.verdict.startswith("2 of the recipe's 4,000 rounds are complete;")


def test_classes_have_names(run: sparring.Run) -> None:
    assert torch.equal(run.sample(2, label="3"), run.sample(2, label=3))
    assert torch.equal(run.sample(2, label=["3", "4"]), run.sample(2, label=[3, 4]))


@pytest.mark.parametrize("variant", WORKING)
def test_what_can_be_converted_is(variant: str) -> None:
    assert torch.allclose(WORKING[variant](), FGSM_IMAGES, atol=1e-6)


def test_an_attack_of_a_class_without_a_name_to_import_is_taken_as_it_is() -> None:
    class Mine(FGSM):
        pass

    found = sparring.attack(MODEL, IMAGES, LABELS, Mine(epsilon=0.1))
    assert torch.allclose(found, FGSM_IMAGES, atol=1e-6)


def test_a_network_with_an_expanded_buffer_can_be_attacked() -> None:
    class Centred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(3, 1, 1).expand(3, 4, 4))

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = MODEL(x - self.mean)
            return logits

    assert torch.allclose(fgsm(model=Centred()), FGSM_IMAGES, atol=1e-6)


@pytest.mark.parametrize("attack", ["pgd", "pgd_l2", "apgd"])
def test_where_a_gradient_is_not_a_number_the_other_pixels_move(attack: str) -> None:
    class Rooted(nn.Module):
        """Logits of a first pixel that goes through a root of 0 have a value and no gradient."""

        def forward(self, x: Tensor) -> Tensor:
            pixel = x[:, :1, :1, :1]
            logits: Tensor = MODEL(x) + (0 * (pixel - pixel).sqrt()).flatten(1)
            return logits

    images = sparring.attack(Rooted(), IMAGES, LABELS, attack, epsilon=0.1)
    assert images.isfinite().all()
    assert (per_sample(images) > per_sample(IMAGES)).all()


def test_an_fp64_network_is_attacked_as_autoattack_does() -> None:
    rest = Threat(name="rest", kind="white-box", attack=APGD(epsilon=0.001, steps=5), rest_only=True)
    double = copy.deepcopy(MODEL).double()
    found, expected = (
        sparring.robust_accuracy(model, IMAGES, LABELS, epsilons=[0.001], threats=[rest]) for model in (double, MODEL)
    )
    assert found.worst[0].accuracy == expected.worst[0].accuracy


def test_sizes_and_threats_are_taken_as_people_write_them() -> None:
    assert all(sizes_from(each) == (0.1,) for each in (0.1, "0.1", ["51/510"], (0.1,), np.array([0.1])))
    narrow = robust(epsilons=["51/510"], threats=["fgsm"])
    wide = sparring.robust_accuracy(copy.deepcopy(MODEL).double(), IMAGES, LABELS, epsilons=0.1, threats="fgsm")
    assert narrow.attacks[-1].name == "FGSM" and narrow.epsilons == (0.1,)
    assert narrow.worst[0].accuracy == wide.worst[0].accuracy


def test_pieces_take_a_seed() -> None:
    x = IMAGES
    assert Flipping(probability=0.5).transmit(torch.tanh, torch.ones(9), rng=1).shape == (9,)
    assert GradientPenalty().penalty(score, x, x, batch_axes=1, rng=1).shape == (6,)
    assert InstanceNoise().disturb(x, progress=0.0, rng=torch.Generator()).shape == x.shape
    generator = torch.Generator().manual_seed(0)
    first, second = (Rng.of(generator).uniform((4,)) for _ in range(2))
    assert not torch.equal(first, second)


def test_strings_and_paths_do_for_folders(run: sparring.Run) -> None:
    for path in (str(run.path), Path(run.path)):
        assert RunFolder.open(path).recipe() == sparring.load(path, device=torch.device("cpu")).recipe
    RunFolder.require_free(str(run.path) + "-other")
