"""Published protocols against NumPy: counts, splits, reference, aggregation; and how a wrong call is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from sparring.core.shapes import IMAGE_BOUNDS, FeaturesAndLogits, as_bytes
from sparring.data import prepare
from sparring.data.digits import load_digits
from sparring.evaluation import published
from sparring.evaluation.protocols import PROTOCOLS, PublishedProtocol
from sparring.evaluation.published import measure_figure
from sparring.gan.load import load_gan
from sparring.gan.sampling import draw
from sparring.networks import FrozenClassifier, InceptionFeatures
from sparring.networks.base import FeatureNetwork
from sparring.recipes import Recipe, load
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

Command = Callable[..., Any]
SMALL = PublishedProtocol(
    name="small", figure="-", stated="-", generated=70, splits=4, reference="training", best_of=3, last_epochs=2
)
KEYS = ["steps=3", "replicas=1", "batch_size=50", "sample_every=0", "evaluate_every=0", "ema=0"]


class Halves(FeatureNetwork):
    """Means of 2 x 2 parts of an image as features, and some of their sums as logits."""

    def extract(self, images: Tensor) -> FeaturesAndLogits:
        features = torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)
        return FeaturesAndLogits(features, 3 * features[:, :3] - features[:, 1:4])


def features_of(images: Tensor) -> np.ndarray:
    """What `Halves` sees in images rounded to bytes, `(n, 4)`."""
    pixels = as_bytes(images).double().numpy() / 127.5 - 1
    parts = [pixels[:, 0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] for row in (0, 1) for column in (0, 1)]
    return np.stack([part.mean(axis=(1, 2)) for part in parts], axis=1)


def score(features: np.ndarray, splits: int) -> tuple[float, float]:
    """Salimans's code, on shuffled images."""
    logits = 3 * features[:, :3] - features[:, 1:4]
    order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(0)).numpy()
    odds = np.exp(logits[order])
    size = -(-len(odds) // splits)
    scores = []
    for first in range(0, len(odds), size):
        part = odds[first : first + size] / odds[first : first + size].sum(axis=1, keepdims=True)
        scores.append(np.exp((part * (np.log(part) - np.log(part.mean(axis=0)))).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def distance(a: np.ndarray, b: np.ndarray) -> float:
    s_a, s_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s_a + s_b - 2 * sqrtm(s_a @ s_b).real))


@pytest.fixture(autouse=True)
def _toy_inception(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A network of no weights in place of Inception-v3, and an empty cache."""
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        InceptionFeatures, "choose", lambda _, __, device: FrozenClassifier(Halves(), "toy", "0" * 64, device)
    )


def run_of(path: Path, *keys: str) -> Path:
    """A run of three rounds on the digits."""
    recipe = load("dishonest/digits", [*KEYS, *keys])
    assert isinstance(recipe, Recipe)
    train(recipe, path)
    return path


def generated(path: Path, count: int) -> Tensor:
    return draw(load_gan(RunFolder.open(path), "cpu"), count, "protocol/0", 0).samples


def test_numbers_are_those_of_the_definitions(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    found = measure_figure([run], SMALL).metrics
    images = features_of(generated(run, 70))
    mean, std = score(images, 4)
    assert found["inception_score"].value == pytest.approx(mean, rel=1e-5)
    assert found["inception_score_std"].value == pytest.approx(std, rel=1e-3)
    samples, _ = load_digits()
    training = torch.as_tensor(samples[:1437]).float() / 8 - 1
    expected = distance(images, features_of(training))
    assert found["frechet_distance"].value == pytest.approx(expected, rel=1e-5)
    (low, high) = found["frechet_distance"].interval
    assert low < expected < high
    text = found["frechet_distance"].protocol
    for part in ("protocol small", "70 generated", "all 1,437 real", "toy", "100 resamples", "eval mode"):
        assert part in text, part


def test_samples_are_drawn_in_parts_that_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path / "run")
    monkeypatch.setattr(published, "AT_ONCE", 32)
    seen: list[Tensor] = []
    extract = FrozenClassifier.extract
    monkeypatch.setattr(FrozenClassifier, "extract", lambda self, x: (seen.append(x), extract(self, x))[1])
    measure_figure([run], SMALL.model_copy(update={"reference": "none", "last_epochs": 0}))
    assert [len(part) for part in seen] == [32, 32, 6]
    assert len(torch.cat(seen).flatten(1).unique(dim=0)) == 70


def test_the_score_of_fifty_thousand_needs_no_real_image(sparring: Command, tmp_path: Path) -> None:
    assert prepare("digits", tmp_path / "store") is not None
    run = run_of(tmp_path / "run", f"data={tmp_path / 'store'}")
    shutil.rmtree(tmp_path / "store")
    found = json.loads(sparring("evaluate", run, "--protocol", "wgan-gp", "--json").out)
    assert found["protocol"] == "wgan-gp" and found["metrics"].keys() == {"inception_score", "inception_score_std"}
    text = found["metrics"]["inception_score"]["protocol"]
    assert "protocol wgan-gp: 50,000 generated images" in text and "10 splits" in text
    assert 1 <= found["metrics"]["inception_score"]["value"] <= 3
    shown = sparring("evaluate", run, "--protocol", "wgan-gp")
    assert "table 3" in shown.out and not shown.err.count("skipped")
    assert sparring("evaluate", run, "--protocol", "asgan").code == 2, "the training split is needed"


def with_log(path: Path, rows: list[dict[str, Any]], *keys: str) -> Path:
    """A run with further rows in its log."""
    run = RunFolder.open(run_of(path, *keys))
    for row in rows:
        run.append_row(row)
    return path


def test_means_of_the_last_epochs_and_the_best_of_runs(tmp_path: Path) -> None:
    # An epoch of 1,437 images in batches of 50 is 28.74 rounds: the last two of 100 begin after round 42.52.
    steps = {40: 9.0, 42: 8.0, 43: 5.0, 70: 4.0, 100: 3.0}
    first = with_log(tmp_path / "a", [{"step": step, "frechet_distance": value} for step, value in steps.items()])
    pack = with_log(
        tmp_path / "b",
        [{"step": 20, "frechet_distance": [2.0, 6.0], "inception_score": [1.5, None]}],
        "replicas=2",
        "seed=1",
    )
    result = measure_figure([first, pack], SMALL)
    found = result.metrics
    assert found["frechet_distance_last_epochs"].value == (4.0, 2.0, 6.0)
    assert found["inception_score_last_epochs"].value == (None, 1.5, None)
    assert "3 measurements of the log in the last 2 epochs (rounds 43 to 100)" in (
        found["frechet_distance_last_epochs"].protocol
    )
    distances, scores = found["frechet_distance"].value, found["inception_score"].value
    assert isinstance(distances, tuple) and len(distances) == len(set(distances)) == 3
    assert found["frechet_distance_best"].value == min(distances)
    assert found["inception_score_best"].value == max(scores)
    assert "the best of 3" in found["frechet_distance_best"].protocol
    alone = measure_figure([first], SMALL).metrics
    assert alone["frechet_distance"].value == distances[0], "a run measured alone reads the same"
    assert result.steps == {str(first): 3, str(pack): 3}


def test_critic_steps_count_for_an_epoch(tmp_path: Path) -> None:
    rows = [{"step": step, "frechet_distance": float(step)} for step in (10, 60, 100)]
    run = with_log(tmp_path / "run", rows, "critic_steps=2")
    assert measure_figure([run], SMALL).metrics["frechet_distance_last_epochs"].value == 100.0


def test_a_log_without_measurements_is_named(tmp_path: Path) -> None:
    result = measure_figure([run_of(tmp_path / "run")], SMALL)
    assert "frechet_distance_last_epochs" not in result.metrics
    assert any("evaluate_every" in problem for problem in result.problems)


def test_other_features_are_said_not_to_compare(
    sparring: Command, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARRING_CACHE", str(shared / "cache"))  # where the classifier is trained for many tests
    run = run_of(tmp_path / "run")
    shown = sparring("evaluate", run, "--protocol", "dat", "--extractor", "classifier")
    assert shown.code == 0 and "do not compare" in shown.err and "small_cnn" in shown.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--protocol", "wgangp"], "did you mean wgan-gp"),
        (["--protocol", "nothing"], "one of: wgan-gp, asgan, robgan, dat"),
        (["--protocol", "asgan", "--samples", "100"], "--samples"),
    ],
)
def test_a_wrong_call_is_refused(arguments: list[str], words: str, sparring: Command, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    answer = sparring("evaluate", run, *arguments)
    assert answer.code == 2 and words in answer.err
    assert sparring("evaluate", run, run).code == 2


def test_points_have_no_published_protocol(short: Callable[..., Recipe], sparring: Command, tmp_path: Path) -> None:
    train(short("steps=2"), tmp_path / "ring")
    answer = sparring("evaluate", tmp_path / "ring", "--protocol", "wgan-gp")
    assert answer.code == 2 and "not a generator of images" in answer.err


def test_missing_weights_are_named(sparring: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    answer = sparring("evaluate", run_of(tmp_path / "run"), "--protocol", "wgan-gp")
    assert answer.code == 2 and "pt_inception" in answer.err and "pytorch-fid" in answer.err


def test_the_table(sparring: Command) -> None:
    rows = json.loads(sparring("list", "protocols", "--json").out)
    assert [row["protocol"] for row in rows] == list(PROTOCOLS) == ["wgan-gp", "asgan", "robgan", "dat"]
    counts = {row["protocol"]: (row["generated"], row["splits"]) for row in rows}
    assert counts["wgan-gp"] == counts["robgan"] == (50_000, 10) and counts["asgan"] == (22_400, 10)
    assert sparring("list", "protocols").code == 0


def test_images_are_those_of_the_whole_training_split() -> None:
    source = load("dishonest/digits").data.open(torch.device("cpu"))
    parts = list(source.training_parts(1000))
    assert [len(part) for part in parts] == [1000, 437]
    samples, _ = load_digits()
    assert torch.equal(torch.cat(parts), torch.as_tensor(samples[:1437]).float() / 8 - 1)
    assert source.facts.bounds == IMAGE_BOUNDS


def test_features_do_not_depend_on_the_precision_of_a_training() -> None:
    class Watched(Halves):
        def extract(self, images: Tensor) -> FeaturesAndLogits:
            assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
            return super().extract(images)

    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = True
        FrozenClassifier(Watched(), "toy", "0" * 64, torch.device("cpu")).extract(torch.zeros(2, 1, 8, 8))
        assert all(switch.allow_tf32 for switch in switches)
    finally:
        for switch, was in zip(switches, before, strict=True):
            switch.allow_tf32 = was
