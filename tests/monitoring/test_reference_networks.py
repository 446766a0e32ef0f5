"""Reference classifiers and features of real images: made once and cached; made again if the entry is damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from weakref import ref

import pytest
import torch

from sparring.core.process import Progress
from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS, as_bytes
from sparring.data import ArraySource, Augmentation, Dequantize, Digits, Facts, ImageArrays, Source
from sparring.monitoring import reference_networks as reference_networks
from sparring.monitoring.generator_metrics import GeneratorMetrics
from sparring.monitoring.reference_networks import LOOKING, TRAINING, classifier_for, real_features
from sparring.networks import SmallCNN, SmallResNet, TrainingSettings
from sparring.recipes import Recipe, load
from sparring.runs.caching import cache_folder
from sparring.runs.checkpoint import Checkpoint, write_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _short_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and classifiers that are trained on few images."""
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(SmallCNN, "training", TrainingSettings(images_seen=2000, rate=1e-3))
    monkeypatch.setattr(SmallResNet, "training", TrainingSettings(images_seen=300, rate=1e-3, shift=2, mirrored=0.5))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every classifier that is trained."""
    done: list[str] = []
    train = reference_networks._train

    def counted(*arguments: object) -> None:
        done.append("trained")
        train(*arguments)

    monkeypatch.setattr(reference_networks, "_train", counted)
    return done


def digits(*augment: Augmentation) -> Source:
    return Digits(augment=augment).open(CPU)


def colours(fingerprint: str = "colours", *, split: bool = True) -> ArraySource:
    """Images of two classes, red and green, 60 to train on and 40 others."""
    samples, labels = Rng.of(0).integers((100, 3, 8, 8), 256).byte(), torch.arange(100) % 2
    samples[labels == 0, 0] = 255
    samples[labels == 1, 1] = 255
    train, test = ImageArrays(samples[:60], labels[:60]), ImageArrays(samples[60:], labels[60:])
    facts = Facts((3, 8, 8), IMAGE_BOUNDS, ("red", "green"), fingerprint=fingerprint)
    return ArraySource(facts, train, test if split else train, scale=127.5, device=CPU)


def test_the_judge_of_a_share_has_seen_all_images(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(reference_networks, "_train", lambda _net, _how, source, *_: seen.append(source.facts.count))
    few = colours("share").reduced(0.1)
    extractor = classifier_for(few, CPU)
    assert seen == [60] and few.facts.count == 6 and extractor is not None
    assert len(real_features(few, extractor, 60, CPU).reference.features) == 60


def test_a_classifier_is_trained_once_and_its_name_states_its_accuracy(trainings: list[str]) -> None:
    first, again = classifier_for(digits(), CPU), classifier_for(digits(), CPU)
    assert first is not None and again is not None
    assert trainings == ["trained"]
    assert first.sha256 == again.sha256 and first.name == again.name and first.sha256[:12] in first.name
    test = digits().held_out(360, rng=Rng.of(0))
    logits = first.extract(test.samples).logits
    assert torch.equal(logits, again.extract(test.samples).logits)
    right = float((logits.argmax(dim=1) == test.labels).float().mean())
    assert right > 0.6 and "small_cnn" in first.name and f"{100 * right:.1f} % right" in first.name


def test_classifiers_ignore_augmentation(trainings: list[str]) -> None:
    plain, noisy = classifier_for(digits(), CPU), classifier_for(digits(Dequantize()), CPU)
    assert plain is not None and noisy is not None
    assert plain.sha256 == noisy.sha256 and trainings == ["trained"]
    shutil.rmtree(cache_folder())
    afresh = classifier_for(digits(Dequantize()), CPU)
    assert afresh is not None
    assert afresh.sha256 == plain.sha256 and len(trainings) == 2


def test_nothing_is_kept_without_a_fingerprint(trainings: list[str]) -> None:
    for _ in range(2):
        classifier = classifier_for(colours(""), CPU)
        assert classifier is not None
        real_features(colours(""), classifier, 10, CPU)
    assert len(trainings) == 2 and not cache_folder().exists()


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_flip, Path.unlink])
@pytest.mark.parametrize("kind", ["classifiers", "features"])
def test_a_damaged_entry_is_made_again(kind: str, damage: Callable[[Path], None]) -> None:
    def measured() -> tuple[str, torch.Tensor, str]:
        classifier = classifier_for(colours(), CPU)
        assert classifier is not None
        real = real_features(colours(), classifier, 20, CPU)
        return classifier.sha256, torch.cat([*real.reference, *real.other], dim=1), real.origin

    before = measured()
    (entry,) = (cache_folder() / kind).iterdir()
    file = entry / "tensors.safetensors"
    sound = file.read_bytes()
    damage(file)
    after = measured()
    assert before[0] == after[0] and torch.equal(before[1], after[1]) and before[2] == after[2]
    assert file.read_bytes() == sound


class _Parts(Progress):
    """Keeps what is counted, by part."""

    def __init__(self) -> None:
        self.counts: dict[str, list[tuple[int, int]]] = {}

    def part(self, what: str) -> Progress:
        counted = self.counts.setdefault(what, [])
        part = Progress()
        part.advance = lambda done, total: counted.append((done, total))  # type: ignore[method-assign]
        return part


def test_a_preparation_is_counted_once_for_each_data_set() -> None:
    recipe, first, again = load("robgan/digits"), _Parts(), _Parts()
    assert isinstance(recipe, Recipe)
    for progress in (first, again):
        GeneratorMetrics(recipe, digits(), CPU, progress=progress)
    assert first.counts[TRAINING] == [(batch, 20) for batch in range(1, 21)]
    assert first.counts[LOOKING] == [(0, 1436), (718, 1436), (1436, 1436)]
    assert again.counts == {}


def test_data_of_one_class_train_no_classifier(trainings: list[str]) -> None:
    source = colours()
    source.facts = replace(source.facts, classes=("red",))
    assert classifier_for(source, CPU) is None and trainings == []


def test_an_entry_of_another_network_is_made_again(trainings: list[str]) -> None:
    first = classifier_for(colours(), CPU)
    (entry,) = (cache_folder() / "classifiers").iterdir()
    shutil.rmtree(entry)
    write_checkpoint(entry, Checkpoint({"other": torch.zeros(1)}, {"accuracy": 1.0}))
    again = classifier_for(colours(), CPU)
    assert first is not None and again is not None and first.sha256 == again.sha256
    assert trainings == ["trained"] * 2


def test_real_features_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    source, classifier = colours(), classifier_for(colours(), CPU)
    assert classifier is not None
    made = real_features(source, classifier, 1000, CPU)
    monkeypatch.setattr(ArraySource, "halves", None)
    found = real_features(source, classifier, 1000, CPU)
    assert torch.equal(made.reference.features, found.reference.features) and made.origin == found.origin
    assert torch.equal(made.other.logits, found.other.logits)
    assert len(found.reference.features) == 60 and len(found.other.features) == 40
    assert "training" in found.origin and "held-out" in found.origin
    assert found.fewest == 40


@pytest.mark.parametrize(("count", "rounds"), [(0, 20), (15, 15), (20, 20), (1437, 20)])
def test_few_images_are_trained_on_for_a_hundred_epochs(count: int, rounds: int) -> None:
    seen = reference_networks._settings(SmallCNN.training, count).images_seen
    assert seen == rounds * reference_networks.BATCH_SIZE


def test_other_counts_and_weights_have_other_entries() -> None:
    first = classifier_for(colours(), CPU)
    assert first is not None
    assert len(real_features(colours(), first, 7, CPU).reference.features) == 7
    assert len(real_features(colours(), first, 9, CPU).reference.features) == 9
    first.sha256 = "other"
    real_features(colours(), first, 9, CPU)
    assert len(list((cache_folder() / "features").iterdir())) == 3


def test_halves_are_disjoint_and_repeatable_and_those_of_the_training_split_replace_a_small_test_split() -> None:
    cases = [(colours(), 1000, (60, 40), "held-out"), (colours(split=False), 1000, (30, 30), "halves")]
    cases += [(digits(), 200, (200, 200), "held-out"), (digits(), 2048, (718, 718), "halves of the training split")]
    for source, count, sizes, origin in cases:  # of the digits, 1,437 are to train on, and 360 others
        reference, other, found = source.halves(count, rng=Rng.of(0))
        assert (len(reference), len(other)) == sizes and origin in found
        both = as_bytes(torch.cat([reference, other])).flatten(1)
        assert len(both.unique(dim=0)) >= len(both) - 2  # the digits hold a few twins
        assert torch.equal(reference, source.halves(count, rng=Rng.of(0)).reference)


def test_classifiers_see_images_rounded_to_bytes_once() -> None:
    classifier = classifier_for(colours(), CPU)
    assert classifier is not None
    images = colours().held_out(40, rng=Rng.of(0)).samples
    seen = classifier.extract(images)
    assert classifier.extract(images) is seen, "the same samples"
    assert torch.equal(classifier.extract(images + 0.4 / 127.5).features, seen.features), "within half a level"
    assert not torch.equal(classifier.extract(images * 0.9).features, seen.features)


def test_classifiers_do_not_keep_samples_alive() -> None:
    classifier = classifier_for(colours(), CPU)
    assert classifier is not None
    images = colours().held_out(40, rng=Rng.of(0)).samples
    kept, first = ref(images), classifier.extract(images)
    del images
    assert kept() is None
    others = torch.zeros(40, 3, 8, 8)  # may get the place in memory
    assert classifier.extract(others) is not first


def test_metrics_of_images_and_their_protocols() -> None:
    recipe = load("dishonest/digits", ["replicas=1", "ema=0.5"])
    source = digits()
    measures = GeneratorMetrics(recipe, source, CPU, samples=100)
    found = measures.measure(source.held_out(100, rng=Rng.of(5)).samples)
    assert {"frechet_distance", "frechet_floor", "kernel_distance", "inception_score"} <= found.keys()
    assert found["frechet_distance"] == pytest.approx(found["frechet_floor"], rel=0.5)
    words = measures.protocols()["frechet"]
    for part in ("100 samples", "eval mode", "EMA 0.5", "uint8 rounded half up", "small_cnn", "SHA-256", "biased"):
        assert part in words, part
    two = load("dishonest/digits", ["replicas=2", "ema=0.5"])
    packed = GeneratorMetrics(two, source, CPU, samples=100).measure(
        torch.stack([source.held_out(100, rng=Rng.of(5)).samples] * 2)
    )
    assert packed["frechet_distance"] == [found["frechet_distance"]] * 2
