"""Measures of a game's D and G against direct computation on the files of a run."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sparring.claims.measures import Measure
from sparring.claims.measures.attacked_discriminator import coherence, grey_level
from sparring.claims.measures.probe_pictures import largest_share
from sparring.claims.values import Pictures, PlayedGame, SampledCurve, Value
from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.data.digits import Digits
from sparring.gan.load import load_gan
from sparring.recipes import load, parse_piece
from sparring.report.read import load_arrays, read_run
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

SIDES = ("real", "attacked")


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> tuple[PlayedGame, ...]:
    """Two packed games after a few rounds."""
    intervals = [f"{name}_every=20" for name in ("sample", "checkpoint", "evaluate")]
    recipe = load("asgan/digits", ["steps=40", "log_every=4", "replicas=2", "precision=fp32", *intervals])
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(recipe, folder, device="cpu")
    run = read_run(RunFolder.open(folder))
    return tuple(PlayedGame(seed, run, index) for index, seed in enumerate(recipe.seeds))


def measured(text: str, game: PlayedGame) -> Value:
    return parse_piece(Measure, text).of(game)  # type: ignore[type-abstract]


def picture_of(value: Value, name: str) -> np.ndarray:
    assert isinstance(value, Pictures)
    return np.array(Image.open(io.BytesIO(base64.b64decode(value.png[name]))))


def by_hand(weights: list[Tensor], x: Tensor) -> Tensor:
    """Scores of a perceptron, layer by layer."""
    for weight, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = (x @ weight + bias).clamp(min=0)
    return (x @ weights[-2] + weights[-1])[:, 0]


def test_confidences_are_those_of_a_forward_pass_by_hand(games: tuple[PlayedGame, ...]) -> None:
    for game in games:
        loaded = load_gan(game.trained.folder, "cpu")
        weights = [p.detach()[game.index].double() for p in loaded.networks.discriminator.parameters()]
        x = loaded.data().held_out(256, rng=Rng.of(0)).samples.double().flatten(1).requires_grad_()
        score = by_hand(weights, x)
        (gradient,) = torch.autograd.grad(score.sum(), x)
        attacked = (x.detach() - 1 / 8 * gradient.sign()).clamp(-1, 1)
        clean, moved = (float(torch.sigmoid(s.detach()).mean()) for s in (score, by_hand(weights, attacked)))
        assert clean > moved
        assert measured("{name: attacked_confidence, which: real}", game) == pytest.approx(clean, abs=1e-5)
        assert measured("{name: attacked_confidence, which: attacked}", game) == pytest.approx(moved, abs=1e-4)
        assert measured("{name: attacked_confidence, which: drop}", game) == pytest.approx(clean - moved, abs=1e-4)


def test_coherence_is_zero_for_noise_and_by_hand() -> None:
    noise = Rng.of(0).normal((2000, 3, 8, 8))
    assert abs(float(coherence(noise).mean()) + 1 / 63) < 0.005  # the expectation of Moran's I is -1 / (n - 1)
    image = Rng.of(1).normal((1, 1, 3, 4))
    values = (image - image.mean())[0, 0].double()
    pairs = [values[i, j] * values[i, j + 1] for i in range(3) for j in range(3)]
    pairs += [values[i, j] * values[i + 1, j] for i in range(2) for j in range(4)]
    assert float(coherence(image)) == pytest.approx(float(sum(pairs) / len(pairs) / values.square().mean()))
    ramp = torch.linspace(-1, 1, 8).expand(1, 1, 8, 8)
    assert float(coherence(ramp)) > 0.8
    assert float(coherence(torch.zeros(1, 1, 8, 8))) == 0


def test_a_grey_level_is_the_smallest_step_of_the_data() -> None:
    digits = Digits().open(torch.device("cpu")).held_out(100, rng=Rng.of(0)).samples
    assert grey_level(digits) == 1 / 8
    assert grey_level(torch.arange(256).float() / 127.5 - 1) == pytest.approx(2 / 255, rel=1e-3)


def test_roughness_is_the_mean_second_difference(games: tuple[PlayedGame, ...]) -> None:
    file = games[0].trained.folder.path / "metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    curve = [row["d_real"][1] for row in rows if "d_real" in row]
    bends = [abs(a - 2 * b + c) for a, b, c in zip(curve, curve[1:], curve[2:], strict=False)]
    assert len(bends) == 8
    assert measured("{name: roughness, metric: d_real}", games[1]) == pytest.approx(sum(bends) / 8)
    assert measured("{name: roughness, metric: d_real, skip: 0.5}", games[1]) == pytest.approx(sum(bends[5:]) / 3)
    assert measured("{name: first, metric: d_real}", games[1]) == curve[0]


def test_what_is_not_logged_has_no_value(games: tuple[PlayedGame, ...]) -> None:
    first = "{name: first, metric: d_real}"
    assert measured(f"{{name: where_logged, metric: d_real, measure: {first}}}", games[1]) == measured(first, games[1])
    assert measured(f"{{name: where_logged, metric: penalty, measure: {first}}}", games[1]) is None


def test_the_histogram_holds_the_saved_counts(games: tuple[PlayedGame, ...]) -> None:
    saved = load_arrays(games[1].trained.folder.probes / "000000040.npz", ("counts", "edges"))
    assert saved is not None
    counts, edges = saved["counts"][1], saved["edges"][1]
    own = measured(f"{{name: gradient_histogram, reach: {float(edges[-1])!r}, bins: {len(counts)}}}", games[1])
    assert isinstance(own, SampledCurve)
    assert own.y == pytest.approx(tuple(counts / counts.sum()), abs=1e-4)
    wide = measured(f"{{name: gradient_histogram, reach: {3 * float(edges[-1])!r}, bins: 3}}", games[1])
    assert isinstance(wide, SampledCurve)
    assert wide.y == pytest.approx((0, 1, 0))


def test_the_largest_step_of_a_path() -> None:
    equal = np.arange(8)[:, None] * np.ones((8, 5))
    jump = np.repeat([0, 1], 4)[:, None] * np.ones((8, 5))
    assert largest_share(equal) == pytest.approx(1 / 7)
    assert largest_share(jump) == 1
    assert largest_share(np.zeros((8, 5))) == 1


def test_pictures_are_those_of_the_probe(games: tuple[PlayedGame, ...]) -> None:
    folder = games[1].trained.folder
    saved = load_arrays(folder.probes / "000000040.npz", ("real", "between", "gradient"))
    assert saved is not None
    real = picture_of(measured("{name: probe_pictures, show: real, seeds: [0, 1]}", games[1]), "2")
    assert (real[:8, :8] == saved["real"][1, 1, 0]).all()
    paths = picture_of(measured("{name: probe_pictures, show: between, seeds: [1]}", games[1]), "between")
    assert (paths[9:17, :8] == saved["between"][1, 1, 0, 0]).all()
    slopes = picture_of(measured("{name: probe_pictures, show: gradient, seeds: [1]}", games[1]), "1")
    assert (slopes[:8, :8] == saved["gradient"][1, 0]).all()
    assert measured("{name: probe_pictures, show: real, seeds: [0]}", games[1]) is None


def test_pictures_of_attacks_and_samples_are_small(games: tuple[PlayedGame, ...]) -> None:
    attacked = measured("{name: attacked_pictures, seeds: [0]}", games[0])
    samples = measured("{name: sample_pictures, seeds: [0]}", games[0])
    for value in (attacked, samples):
        assert isinstance(value, Pictures)
        assert sum(map(len, value.png.values())) < 8192
    assert picture_of(samples, "samples").shape == (54, 72)


def test_attacked_pictures_are_named_by_both_confidences(games: tuple[PlayedGame, ...]) -> None:
    found = measured("{name: attacked_pictures, samples: 1, seeds: [1]}", games[1])
    assert isinstance(found, Pictures)
    before, after = (measured(f"{{name: attacked_confidence, which: {side}, samples: 1}}", games[1]) for side in SIDES)
    assert isinstance(before, float)
    assert isinstance(after, float)
    assert list(found.png) == [f"1: {100 * before:.0f} %, {100 * after:.0f} %"]


def test_a_run_without_probes_is_refused(
    games: tuple[PlayedGame, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(load("asgan/digits", ["steps=2", "replicas=1", "evaluate_every=0", "sample_every=0"]), folder, device="cpu")
    game = PlayedGame(0, read_run(RunFolder.open(folder)))
    with pytest.raises(UsageError, match="no probes"):
        measured("largest_step", game)
