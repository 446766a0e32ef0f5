"""Images of the user's own: prepared once, what is chosen and said, reproducible, refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from sparring.core.errors import CorruptInput, StorageError, UsageError
from sparring.core.process import Progress
from sparring.core.randomness import Rng, Streams
from sparring.data import prepare, verify
from sparring.recipes import Recipe, load, recipe_names
from sparring.runs import own_data
from sparring.runs.folder import RunFolder
from sparring.runs.own_data import with_prepared_data
from sparring.training.loop import train

QUICK = ["steps=1", "batch_size=4", "evaluate_every=0", "sample_every=0", "generator.width=2", "discriminator.width=2"]


class Notes(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Ten pictures of each of three letters, 20 x 14 pixels, in a folder a letter."""
    rng = np.random.default_rng(0)
    for letter in "abg":
        (tmp_path / "letters" / letter).mkdir(parents=True)
        for index in range(10):
            image = Image.new("L", (20, 14), int(rng.integers(40)))
            ImageDraw.Draw(image).text((6, 0), letter, fill=255, font=ImageFont.load_default(12))
            image.save(tmp_path / "letters" / letter / f"{index}.png")
    return tmp_path / "letters"


def resolved(name: str, data: Path, progress: Progress | None = None) -> Any:
    return with_prepared_data(load(name, [f"data={data}"]), progress or Notes())


def test_a_folder_is_prepared_once_and_what_is_chosen_is_said(letters: Path) -> None:
    notes = Notes()
    recipe = resolved("robgan/images", letters, notes)
    store = Path(recipe.data.path)
    assert notes.said == [
        "data: 30 images in grey of 3 classes (a, b, g) in letters",
        "data: the square in the middle of each is scaled from 20 x 14 to 16 x 16 pixels",
        f"data: 3 images are held out for evaluation, 0.1 of every class; prepared in {store}",
    ]
    assert recipe.description == "letters 16 x 16, Rob-GAN with small networks; minutes on a CPU"
    again = Notes()
    written = (store / "manifest.json").stat().st_mtime_ns
    assert resolved("robgan/images", letters, again) == recipe and again.said == notes.said
    assert (store / "manifest.json").stat().st_mtime_ns == written
    (letters / "a" / "0.png").unlink()
    assert resolved("robgan/images", letters).data.path != str(store)


def test_a_run_names_content_and_the_command_that_prepares_it(letters: Path, tmp_path: Path, sparring: Any) -> None:
    train(load("asgan/images", [*QUICK, f"data={letters}"]), tmp_path / "run", device="cpu")
    data: Any = RunFolder.open(tmp_path / "run").recipe().data
    shutil.rmtree(data.path)
    told = sparring("resume", tmp_path / "run", "--device", "cpu")
    assert (told.code, "the prepared images are gone" in told.err) == (2, True)
    words = data.prepared_by.split()
    assert words[0] == "sparring" and sparring(*words[1:]).code == 0
    assert sparring("resume", tmp_path / "run", "--device", "cpu").code == 0
    with pytest.raises(CorruptInput, match="its content is"):
        data.model_copy(update={"content": "0123456789ab"}).open(torch.device("cpu"))


@pytest.mark.parametrize("name", [name for name in recipe_names() if "/images" in name])
def test_every_recipe_for_own_images_trains_a_round(name: str, letters: Path, tmp_path: Path) -> None:
    recipe = load(name, [f"data={letters}", "steps=1", "evaluate_every=0", "batch_size=4"])
    summary = train(recipe, tmp_path / "run", device="cpu")
    assert summary.recipe["description"].startswith("letters 16 x 16, ")
    if isinstance(recipe, Recipe):
        assert list((tmp_path / "run" / "samples").iterdir())


def test_another_process_may_prepare_the_same_images_first(letters: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def beaten(source: str, store: Path, **options: Any) -> None:
        prepare(source, store, **options)
        raise StorageError(f"{store}: Directory not empty", "")

    monkeypatch.setattr(own_data, "prepare", beaten)
    assert resolved("robgan/images", letters).data.open(torch.device("cpu")).facts.count == 27
    monkeypatch.setattr(own_data, "is_store", lambda _: False)
    with pytest.raises(UsageError, match="exists already"):
        resolved("robgan/images", letters)


def test_generated_images_are_prepared_whole(letters: Path) -> None:
    keys = [f"data={letters}", f"fakes={{data: {letters}, share: 0.5}}"]
    recipe: Any = with_prepared_data(load("robgan/images-adversarial-training", keys), Notes())
    facts = recipe.fakes.data.open(torch.device("cpu")).facts
    assert (facts.count, recipe.data.open(torch.device("cpu")).facts.count) == (30, 27)


def test_titles_name_the_data_in_place_of_the_recipe_s(letters: Path) -> None:
    assert resolved("robgan/mnist", letters).description.startswith("letters 16 x 16, Rob-GAN")
    untouched = load("robgan/digits")
    assert with_prepared_data(untouched, Notes()) is untouched


@pytest.mark.parametrize(("shape", "side"), [((8, 8), 8), ((9, 30), 16), ((28, 28), 32), ((120, 90, 3), 32)])
def test_the_side_is_the_next_one(shape: tuple[int, ...], side: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, *shape), np.uint8)
    np.savez(tmp_path / "own.npz", x=pixels, y=[0, 1, 0, 1, 0, 1])
    facts = resolved("robgan/images", tmp_path / "own.npz").data.open(torch.device("cpu")).facts
    assert facts.shape == (len(shape) * 2 - 3, side, side) and facts.evaluated_on == "held-out"


def test_labels_beside_the_images_are_part_of_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "own-imgs.npz", x=np.random.default_rng(0).integers(0, 256, (8, 8, 8), np.uint8))
    labels = []
    for wrong in (0, 1):
        np.savez(tmp_path / "own-labels.npz", y=[wrong, 1, 0, 1, 0, 1, 0, 1])
        source = resolved("robgan/images", tmp_path / "own-imgs.npz").data.open(torch.device("cpu"))
        found = source.training_set(8, Streams(0)).labels
        assert found is not None
        labels.append(int(found.sum()) + int(source.held_out(8, rng=Rng.of(0)).labels.sum()))  # type: ignore[union-attr]
    assert labels[0] != labels[1]


def test_a_test_split_of_its_own_is_held_out(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((6, 8, 8))
    np.savez(tmp_path / "own.npz", x_train=pixels, y_train=[0, 1] * 3, x_test=pixels[:2], y_test=[0, 1])
    notes = Notes()
    resolved("robgan/images", tmp_path / "own.npz", notes)
    assert "data: float64 images in [0, 1] are rounded to 256 levels" in notes.said
    assert any(said.startswith("data: 2 images are held out for evaluation; prepared") for said in notes.said)


@pytest.mark.parametrize(
    ("files", "kind", "cause"),
    [
        ({}, UsageError, "no images that can be read"),
        ({"notes.txt": b"none"}, UsageError, "no images that can be read"),
        ({"1.png": b"not a picture"}, CorruptInput, "no image that can be read"),
        ({"weights.pt": b"\x80\x02"}, CorruptInput, "a pickle"),
    ],
)
def test_what_is_no_folder_of_images(
    files: dict[str, bytes], kind: type[Exception], cause: str, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    for name, content in files.items():
        (tmp_path / "own" / name).write_bytes(content)
    with pytest.raises(kind, match=cause):
        resolved("robgan/images", tmp_path / "own")


def test_one_image_is_too_few(letters: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    shutil.copy(letters / "a" / "0.png", tmp_path / "one" / "0.png")
    with pytest.raises(CorruptInput, match="1 samples, with no two of a class, so that none can be held out"):
        resolved("asgan/images", tmp_path / "one")


def test_training_and_preparing_hold_out_the_same_images(letters: Path, tmp_path: Path, sparring: Any) -> None:
    told = sparring("data", "prepare", letters, "--size", 16, "--out", tmp_path / "store")
    assert "\n3 images are held out for evaluation, 0.1 of every class\n" in told.out
    assert resolved("robgan/images", letters).data.content == verify(tmp_path / "store").fingerprint


def test_a_mistyped_folder_is_no_unknown_data() -> None:
    with pytest.raises(UsageError, match="greeek: no such data") as caught:
        resolved("robgan/images", Path("greeek")).data.open(torch.device("cpu"))
    assert caught.value.remedy.startswith("give a folder of images")
    with pytest.raises(UsageError, match="did you mean digits"):
        load("robgan/images", ["data=digit"])


def test_one_class_is_said_as_such(letters: Path) -> None:
    for other in "bg":
        shutil.rmtree(letters / other)
    notes = Notes()
    resolved("robgan/images", letters, notes)
    assert notes.said[0] == "data: 10 images in grey of one class (a) in letters"
