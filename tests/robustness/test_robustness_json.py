"""`sparring robustness`: heads of runs, packed games, classifiers, own models; files and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from robust_models import CPU, sound
from sparring.core.errors import UsageError
from sparring.core.files import sha256
from sparring.core.records import InvalidRecord
from sparring.gan.load import load_gan
from sparring.gan.sampling import draw
from sparring.recipes import load
from sparring.report.strips import load_examples
from sparring.robustness.load import OpenedTargets, RobustnessOptions, open_targets
from sparring.robustness.model_checks import changes, network_state
from sparring.robustness.own_model import OwnModel
from sparring.robustness.robustness_json import run_or_model
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

SMALL = (
    "generator={name: mlp, latent: 8, hidden: [32], conditional: true}",
    "discriminator={name: mlp, hidden: [48], head: auxiliary}",
    "class_loss=ac",
    "objective=log",
    "feedback=honest",
    "lipschitz=none",
    "optimizers.discriminator={name: adam, lr: 3e-3}",
    "regime={name: replace, attack: {name: pgd, epsilon: 0.05, steps: 2}}",
    "sample_every=0",
    "evaluate_every=0",
    "log_every=1000",
)
Command = Callable[..., Any]
"""The fixture `sparring`."""
QUICK = ("--threats", "fgsm", "--epsilons", "0.05,0.1", "--samples", 100)
pytestmark = pytest.mark.usefixtures("quick_substitute")


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two packed games with class heads, trained under attack for a moment."""
    path = tmp_path_factory.mktemp("runs") / "game"
    train(load("dishonest/digits", [*SMALL, "replicas=2", "steps=120"]), path, device="cpu")
    return path


def targets_of_run(path: Path, **options: Any) -> OpenedTargets:
    return open_targets(path, RobustnessOptions(**options), "cpu")


def logits_of(path: Path, on: str, samples: Tensor, game: int = 0) -> Tensor:
    """Logits of a head of a run."""
    (target,) = targets_of_run(path, on=(on,), game=game).targets
    return target.predicted_logits(samples)


def test_a_packed_game_has_its_own_logits(game: Path) -> None:
    packed = load_gan(RunFolder.open(game), "cpu").networks.discriminator
    x = torch.rand(5, 1, 8, 8) * 2 - 1
    with torch.no_grad():
        verdict = packed(x.expand(2, *x.shape))
    assert verdict.classes is not None
    for number in range(2):
        assert torch.allclose(logits_of(game, "class", x, number), verdict.classes[number], atol=1e-5)
        source = torch.stack([-verdict.score[number] / 2, verdict.score[number] / 2], dim=1)
        assert torch.allclose(logits_of(game, "source", x, number), source, atol=1e-5)
    assert not torch.allclose(logits_of(game, "class", x, 0), logits_of(game, "class", x, 1), atol=1e-2)
    with pytest.raises(UsageError, match="game 2"):
        targets_of_run(game, game=2)


def test_both_heads_are_the_product_of_their_probabilities(game: Path) -> None:
    x = torch.rand(6, 1, 8, 8) * 2 - 1
    classes, source, both = (logits_of(game, on, x).softmax(1) for on in ("class", "source", "both"))
    assert torch.allclose(both, (classes[:, :, None] * source[:, None, :]).flatten(1), atol=1e-6)
    (target,) = targets_of_run(game, on=("both",), samples=30).targets
    (of_classes,) = targets_of_run(game, on=("class",), samples=30).targets
    assert torch.equal(target.samples[:], of_classes.samples[:])
    assert torch.equal(target.labels, 2 * of_classes.labels + 1)
    assert target.classes[3] == "1 real" and len(target.classes) == 20


def test_half_of_the_samples_of_a_source_head_are_generated(game: Path) -> None:
    opened = targets_of_run(game, on=("source",), samples=60, game=1)
    (target,) = opened.targets
    assert opened.step == 120 and target.classes == ("fake", "real")
    (real,) = targets_of_run(game, samples=30).targets
    assert torch.equal(target.samples[target.labels == 1], real.samples[:])
    drawn = draw(load_gan(RunFolder.open(game), "cpu").game(1), 30, "robustness/samples", 0).samples
    assert torch.equal(target.samples[target.labels == 0], drawn)
    assert target.training is not None and len(target.training.samples) == 60
    assert not torch.equal(target.training.samples[:], target.samples[:])


def test_a_run_is_evaluated_into_its_folder(sparring: Command, game: Path) -> None:
    weights = {path.name: path.read_bytes() for path in (game / "checkpoints").rglob("*") if path.is_file()}
    answer = sparring("robustness", game, *QUICK, "--transfer-from", game, "--game", 1)
    assert answer.code == 0, answer.err
    assert (
        "D's class head keeps" in answer.out
        and "under every one of 3 attacks" in answer.out
        and "FLAG" not in answer.out
    )
    assert "trained against L-infinity, pgd, epsilon 12.8/255" in answer.out
    found = json.loads((game / "robustness.json").read_text())
    (entry,) = found["targets"]
    assert found["step"] == 120 and entry["evaluated_on"] == "held-out" and entry["main_epsilon"] == 0.05
    assert entry["transfer"]["targets"] == ["class head", str(game)]
    assert "transfer" in {row["kind"] for row in entry["attacks"]}
    assert load_examples(game, 0) is not None
    assert "Accuracy under attack" in (game / "report.html").read_text()
    with np.load(game / "robustness.npz") as arrays:
        assert arrays["0/clean"].shape == (2, 8, 1, 8, 8) and arrays["0/labels"].shape == (2, 8)
    assert weights == {path.name: path.read_bytes() for path in (game / "checkpoints").rglob("*") if path.is_file()}


def test_a_flag_is_printed_and_written_and_is_the_exit_code(sparring: Command, tmp_path: Path) -> None:
    path = tmp_path / "one round"
    train(load("dishonest/digits", [*SMALL, "replicas=1", "steps=1"]), path, device="cpu")
    answer = sparring("robustness", path, *QUICK, "--on", "class")
    assert answer.code == 7
    assert "FLAG: better than chance: clean accuracy" in answer.out and "keeps" not in answer.out
    assert "flag" in answer.err and "do not quote" in answer.err
    (entry,) = json.loads((path / "robustness.json").read_text())["targets"]
    assert entry["headline"] is None and entry["flags"]
    as_json = sparring("robustness", path, *QUICK, "--json", "--out", tmp_path / "elsewhere")
    assert as_json.code == 7 and json.loads(as_json.out)["targets"][0]["flags"] == entry["flags"]
    assert (tmp_path / "elsewhere" / "robustness.npz").is_file()


def test_missing_heads_are_refused(tmp_path: Path, game: Path) -> None:
    path = tmp_path / "unconditional"
    plain = ["generator.conditional=false", "discriminator.head=source", "class_loss=none", "replicas=1", "steps=1"]
    train(load("dishonest/digits", [*SMALL, *plain]), path, device="cpu")
    (target,) = targets_of_run(path, samples=10).targets
    assert target.name == "source head"
    with pytest.raises(UsageError, match="no class head"):
        targets_of_run(path, on=("both",))
    with pytest.raises(UsageError, match="on = 'klass'"):
        targets_of_run(game, on=("klass",))


def test_a_classifier_is_a_target(tmp_path: Path) -> None:
    recipe = tmp_path / "classifier.yaml"
    recipe.write_text(
        "{data: digits, classifier: {name: small_cnn, width: 4}, attack: {name: pgd, epsilon: 0.1, steps: 2}, "
        "optimizer: {name: adam, lr: 1e-3}, batch_size: 50, steps: 2, evaluate_every: 0}"
    )
    train(load(str(recipe)), tmp_path / "run", device="cpu")
    opened = targets_of_run(tmp_path / "run", samples=20)
    (target,) = opened.targets
    assert target.name == "classifier" and opened.step == 2 and target.trained_against is not None
    before = network_state(target.network)
    assert target.predicted_logits(target.samples).shape == (20, 10)
    assert not changes(before, network_state(target.network))
    with pytest.raises(UsageError, match="a classifier has one head"):
        targets_of_run(tmp_path / "run", on=("source",))


MODULE = """
from torch import nn

def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

def wrong():
    return 3

def half():
    return make().half()

network = make()
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a user's module, and weights for images in [0, 1] that equal the sound MLP."""
    (tmp_path / "own_model.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    state = {name: values.clone() for name, values in sound("mlp").network.state_dict().items()}
    # The sound one takes images in [-1, 1]: 2 p - 1.
    state["1.bias"] -= state["1.weight"].sum(1)
    state["1.weight"] *= 2
    save_file(state, tmp_path / "weights.safetensors")
    return tmp_path


def test_an_own_model_has_its_weights_and_input_range(own: Path) -> None:
    network = OwnModel(model="own_model:make", weights=str(own / "weights.safetensors")).load(torch.device("cpu"))
    x = sound("mlp").samples
    assert torch.allclose(network(x), sound("mlp").predicted_logits(x), atol=1e-4)
    assert not network.training


def test_pixels_have_the_range_that_the_model_wants() -> None:
    model = run_or_model("torch.nn:Identity", input_range="0,255")
    assert model == OwnModel(model="torch.nn:Identity", input_range=(0.0, 255.0))
    x = torch.rand(3, 2, 4, 4) * 2 - 1
    assert torch.allclose(model.load(torch.device("cpu"))(x), (x + 1) / 2 * 255, atol=1e-4)
    scaled = run_or_model("torch.nn:Identity", mean="0.5,0.25", std="0.5")
    wanted = torch.stack([((x[:, 0] + 1) / 2 - 0.5) / 0.5, ((x[:, 1] + 1) / 2 - 0.25) / 0.5], dim=1)
    assert torch.allclose(scaled.load(torch.device("cpu"))(x), wanted, atol=1e-6)
    for wrong in ({"input_range": "1,0"}, {"std": "0"}):
        with pytest.raises(InvalidRecord):
            run_or_model("torch.nn:Identity", **wrong)


def test_an_own_model_on_the_command_line(sparring: Command, own: Path, game: Path) -> None:
    options = ("--data", "digits", "--weights", own / "weights.safetensors", "--out", own / "found")
    others = ("--transfer-from", game, "--transfer-from", "own_model:make")
    answer = sparring("robustness", "own_model:make", *QUICK, *options, *others)
    assert answer.code == 0, answer.err
    found = json.loads((own / "found" / "robustness.json").read_text())
    (entry,) = found["targets"]
    assert found["step"] is None and entry["target"] == "own_model:make" and entry["trained_against"] is None
    assert entry["transfer"]["targets"] == ["own_model:make", str(game), "own_model:make"]
    assert found["model"]["weights_sha256"] == sha256(own / "weights.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--data", "digits"), "--out FOLDER"),
        (("--out", "OUT"), "--data digits"),
        (("--data", "digits", "--out", "OUT", "--weights", "none.safetensors"), "no such file"),
        (("--data", "digits", "--out", "OUT", "--input-range", "a"), "input_range"),
    ],
)
def test_missing_options_of_a_model_are_named(
    sparring: Command, own: Path, options: tuple[str, ...], message: str
) -> None:
    given = [str(own / "found") if option == "OUT" else option for option in options]
    answer = sparring("robustness", "own_model:make", *given)
    assert answer.code == 2 and message in answer.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--threats", "fgsn"), "did you mean fgsm"),
        (("--weights", "none.safetensors"), "none.safetensors: no such file"),
        (("--transfer-from", "nowhere"), "nowhere: no such run"),
    ],
)
def test_what_needs_no_images_is_checked_before_they_are_prepared(
    sparring: Command, own: Path, options: tuple[str, ...], message: str
) -> None:
    answer = sparring("robustness", "own_model:make", "--data", "no-images", "--out", own / "found", *options)
    assert answer.code == 2 and message in answer.err and "no-images" not in answer.err


def test_scaled_images_are_said_to_be_scaled(sparring: Command, own: Path) -> None:
    for index, label in enumerate("abcdefghij"):
        (own / "images" / label).mkdir(parents=True, exist_ok=True)
        pixels = np.full((6, 7), 20 * index, np.uint8)
        Image.fromarray(pixels).save(own / "images" / label / f"{index}.png")
    options = ("--data", own / "images", "--out", own / "found", "--threats", "noise", "--epsilons", "0.1")
    answer = sparring("robustness", "own_model:make", *options)
    scaled = "scaled from 7 x 6 to 8 x 8"
    assert f"note: images were {scaled}: a network that takes another side" in answer.out
    found = json.loads((own / "found" / "robustness.json").read_text())
    assert found["targets"][0]["remarks"][0].startswith(f"images were {scaled}")


def test_models_that_cannot_be_made_are_refused(own: Path) -> None:
    for model, message in (
        ("own_model:wrong", "own_model:wrong: a int, wanted a network"),
        ("own_model:none", "cannot be made"),
        ("own_model:half", "has float16 weights"),
    ):
        with pytest.raises(UsageError, match=message):
            OwnModel(model=model).load(torch.device("cpu"))
    with pytest.raises(InvalidRecord, match="model"):
        run_or_model("own model:make")
    with pytest.raises(InvalidRecord, match=r"input_range = .*: 1 is not below 0"):
        run_or_model("own_model:make", input_range="1,0")


def test_a_network_itself_may_be_named(own: Path) -> None:
    weights = str(own / "weights.safetensors")
    made, named = (OwnModel(model=f"own_model:{each}", weights=weights).load(CPU) for each in ("make", "network"))
    x = sound("mlp").samples[:3]
    assert torch.equal(made(x), named(x))


def test_weights_alone_are_no_target(own: Path) -> None:
    path = own / "weights.safetensors"
    with pytest.raises(UsageError, match=r"weights\.safetensors: a file, not a run") as caught:
        run_or_model(str(path))
    assert f"module:factory --weights {path}" in caught.value.remedy


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--weights", "x"), "a run has its own weights and inputs"),
        (("--epsilons", "8/0"), "epsilons"),
        (("--epsilons", "0"), "each should be above 0"),
        (("--threats", "fgsn"), "did you mean fgsm"),
        (("--data", "digits"), "a run has its own data"),
        (("--transfer-from", "nowhere"), "nowhere: no such run"),
        (("--epsilons", "0.1,8"), "8/255"),
        (("--range", "1,-1"), "range"),
    ],
)
def test_wrong_options_are_refused(sparring: Command, game: Path, options: tuple[str, ...], message: str) -> None:
    answer = sparring("robustness", game, *options)
    assert answer.code == 2 and message in answer.err


def test_sizes_may_be_of_another_scale(sparring: Command, game: Path) -> None:
    """2 e of [-1, 1] is e of [0, 1]: the same numbers, but for the seconds."""
    found = []
    for scale, epsilons in (("0,1", "0.05,8/255"), ("-1,1", "0.1,16/255"), ("0,255", "12.75,8")):
        options = ("--range", scale, "--epsilons", epsilons, "--threats", "fgsm", "--samples", 30, "--json")
        target = json.loads(sparring("robustness", game, *options).out)["targets"][0]
        for attack in target["attacks"]:
            del attack["seconds"]
        found.append(target)
    assert found[0] == found[1] == found[2]
    assert found[0]["epsilons"] == [8 / 255, 0.05]


def test_a_run_keeps_its_own_evaluation(sparring: Command, game: Path, own: Path) -> None:
    answer = sparring("robustness", "own_model:make", *QUICK, "--data", "digits", "--out", game)
    assert answer.code == 2 and "keeps its own evaluation" in answer.err
    answer = sparring("robustness", "nowhere", *QUICK)
    assert answer.code == 2 and "no such run" in answer.err


def test_training_samples_have_no_generalization_gap(game: Path) -> None:
    (target,) = targets_of_run(game, samples=10).targets
    assert target.on_training_samples() is not None
    assert replace(target, evaluated_on="training").on_training_samples() is None


def test_saturated_logits_stay_finite(game: Path) -> None:
    (target,) = targets_of_run(game, on=("both",), samples=10).targets
    far = F.hardtanh(target.samples[:] * 1e6) * 1e4
    assert target.predicted_logits(far).isfinite().all()
