"""The command line: exit codes, one line of cause and one of remedy, nothing half-made; and every verb once."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sparring import __version__
from sparring.cli.terminal import show_progress
from sparring.cli.theorems import objectives_picture
from sparring.core.errors import UsageError, print_error
from sparring.data import prepare
from sparring.evaluation import lipschitz_bound
from sparring.gan.load import load_gan
from sparring.gan.sampling import class_number, draw
from sparring.networks import SmallCNN, TrainingSettings
from sparring.recipes import Recipe, recipe_names, to_yaml
from sparring.runs.folder import RunFolder

Command = Callable[..., Any]
"""The fixture `sparring`: arguments to an answer with `code`, `out` and `err`."""


@pytest.fixture
def recipe_file(short: Callable[..., Recipe], tmp_path: Path) -> Path:
    """A recipe of a few rounds, as a file."""
    path = tmp_path / "short.yaml"
    path.write_text(to_yaml(short("replicas=2", "evaluate_every=10", "sample_every=10")))
    return path


def test_the_whole_way(sparring: Command, recipe_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained = sparring("train", recipe_file, "steps=12", "--out", run)
    assert trained.code == 0
    verdict, modes, distance, time_, page = trained.out.strip().splitlines()
    assert verdict == RunFolder.open(run).summary().verdict and "after 12 of the recipe's 10,000 rounds" in verdict
    assert modes.startswith("  Modes covered ") and modes.endswith("(means of 2 games)")
    assert distance.startswith("  Distance to real samples ") and "(floor " in distance
    assert time_.startswith("  Time: ") and "of preparation" in time_
    assert page == f"  report: {run / 'report.html'}"
    assert (run / "report.html").is_file()
    again = json.loads(sparring("resume", run, "--json").out)
    assert again["verdict"] == verdict and again["preparation_seconds"] > 0
    verbose = sparring("resume", run, "--verbose").out
    assert verbose.startswith(f"{verdict}\n") and "steps_to_success" in verbose and "theory: " in verbose
    found = json.loads(sparring("evaluate", run, "--json").out)
    assert found["verdict"].startswith("G draws all 8 modes in ") and sparring("evaluate", run).out.startswith(
        found["verdict"]
    )
    assert found["step"] == 12 and len(found["metrics"]["modes"]["value"]) == 2
    assert sparring("sample", run, "-n", 5, "--out", tmp_path / "points.npz").code == 0
    with np.load(tmp_path / "points.npz") as points:
        assert points["samples"].shape == (2, 5, 2)
    assert sparring("sample", run, "--out", tmp_path / "points.png").code == 0
    assert sparring("report", run).out.strip() == str(run / "report.html")
    assert sparring("report", tmp_path).out.strip() == str(tmp_path / "report.html")
    assert "sound" in sparring("verify", run).out
    before = (run / "recipe.yaml").read_bytes()
    for option, cause in ((["--log", "nosuch"], "nosuch"), (["--device", "cuda:99"], "cuda:99")):
        refused = sparring("resume", run, "steps=20", *option)
        assert refused.code == 2 and cause in refused.err and (run / "recipe.yaml").read_bytes() == before


def test_attacks_on_two_runs_are_one_table(sparring: Command, recipe_file: Path, tmp_path: Path) -> None:
    runs = [tmp_path / "first", tmp_path / "second"]
    for seed, run in enumerate(runs):
        assert sparring("train", recipe_file, "steps=2", f"seed={seed}", "--out", run).code == 0
    options = ("-n", 4, "--cap", 3, "--within", 0.001, "--attack", "{name: fgsm, epsilon: 2/255}")
    rows = json.loads(sparring("attack-endurance", *runs, *options, "--json").out)
    assert [(row["run"], row["generator"]) for row in rows] == [
        (str(run), generator) for run in runs for generator in ("initial", "trained")
    ]
    answer = sparring("attack-endurance", *runs, *options)
    assert (
        answer.code == 0 and "at most 3 attacks" in answer.out and "epsilon 0.00784 in the data's units" in answer.out
    )
    assert "overshot" in answer.out
    refused = sparring("attack-endurance", *runs, "--attack", "fgsn")
    assert refused.code == 2 and "did you mean fgsm" in refused.err


@pytest.mark.parametrize("kind", ["families", "objective", "perturbations", "data"])
def test_lists(kind: str, sparring: Command) -> None:
    rows = json.loads(sparring("list", kind, "--json").out)
    assert rows and all(row.keys() == rows[0].keys() for row in rows)
    assert sparring("list", kind).code == 0


def test_lists_of_recipes_and_objectives(sparring: Command) -> None:
    recipes, objectives = (json.loads(sparring("list", kind, "--json").out) for kind in ("recipes", "objectives"))
    assert [row["recipe"] for row in recipes] == list(recipe_names())
    odd = {row["name"]: row["f_D odd"] for row in objectives}
    assert odd["linear"] is True and odd["tanh"] is True and odd["log"] is False and odd["hinge"] is False


def test_theory(sparring: Command) -> None:
    answer = sparring("theory")
    assert answer.code == 0
    assert "Theorem 6" in answer.out and "broken -inf" in answer.out
    tables = json.loads(sparring("theory", "--json").out)
    assert tables["games"] and tables["perturbations"]
    least_squares = {row["P_G"]: row for row in tables["least_squares"]}
    assert least_squares["P_data"]["2 V"] == 0 and least_squares["elsewhere"]["2 V"] == 2
    assert all(row["2 V"] == row["chi-squared(P + Q, 2 Q)"] for row in least_squares.values())


def test_the_picture_of_the_objectives(sparring: Command, tmp_path: Path) -> None:
    """Figure 2a: constant, smaller and larger slopes around 1/2, all from -1/2 to 1/2."""
    curves = {curve.label: curve for curve in objectives_picture().curves}
    assert set(curves) == {"linear", "piecewise_linear", "cubic", "sine"}
    for curve in curves.values():
        values = curve.values[:, 0]
        assert curve.steps[0] == 0 and curve.steps[-1] == 1 and (np.diff(values) > 0).all()
        assert np.allclose(values[[0, 100, -1]], [-0.5, 0, 0.5]) and np.allclose(values, -values[::-1])
    assert np.allclose(curves["sine"].values[:, 0], np.sin(np.pi * (curves["sine"].steps - 0.5)) / 2)
    for ending, start in ((".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")):
        picture = tmp_path / f"objectives{ending}"
        assert sparring("theory", "--picture", str(picture)).code == 0
        assert picture.read_bytes().startswith(start)
    assert sparring("theory", "--picture", str(tmp_path / "objectives.txt")).code == 2


def test_the_conditions_of_one_perturbation(sparring: Command) -> None:
    (row,) = json.loads(sparring("theory", "flip", "--json").out)
    assert (row["first"], row["second"]) == (False, True)
    assert sparring("theory", "flap").code == 2
    assert sparring("theory", "flip", "--picture", "flip.svg").code == 2


def test_show(sparring: Command) -> None:
    assert "probability: 0.3" in sparring("show", "dishonest/ring", "feedback.probability=0.3").out
    kinds = json.loads(sparring("show", "--schema").out)["$defs"]
    assert kinds["Recipe"]["properties"]["objective"] and kinds["ClassifierRecipe"]["properties"]["classifier"]
    assert sparring("show").code == 2


def test_data(sparring: Command, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert sparring("data", "prepare", "digits", "--out", store).code == 0
    assert json.loads(sparring("data", "inspect", store, "--json").out)["splits"]["train"]["count"] == 1437
    assert "1437" in sparring("data", "inspect", store).out.replace(",", "")
    assert "sound" in sparring("verify", store).out


def test_a_part_of_the_data(sparring: Command, tmp_path: Path) -> None:
    store, keys = tmp_path / "store", ["--size", 4, "--min-side", 8, "--crop", 6]
    answer = sparring("data", "prepare", "digits", "--labels", "3..4", *keys, "--out", store).out
    assert "dropped of train: 1,147 of other classes" in answer and "2 classes; samples of (1, 4, 4)" in answer
    facts = json.loads(sparring("data", "inspect", store, "--json").out)
    assert facts["selection"] == {"labels": [3, 4], "min_side": 8, "crop": 6, "test_fraction": None, "seed": 0}
    assert sparring("data", "prepare", "digits", "--labels", "3-4", "--out", tmp_path / "other").code == 2
    assert sparring("data", "prepare", "digits", "--labels", "3..12", "--out", tmp_path / "other").code == 2


def test_samples_do_not_need_the_data(sparring: Command, tmp_path: Path) -> None:
    prepare("digits", tmp_path / "store")
    keys = ["steps=2", "replicas=1", "evaluate_every=0", f"data={tmp_path / 'store'}"]
    assert sparring("train", "dishonest/digits", *keys, "--out", tmp_path / "run").code == 0
    shutil.rmtree(tmp_path / "store")
    assert sparring("sample", tmp_path / "run", "-n", 3, "--out", tmp_path / "digits.png").code == 0
    assert sparring("evaluate", tmp_path / "run").code == 2


def test_samples_of_one_class(sparring: Command, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "samples.npz"
    keys = ["steps=1", "evaluate_every=0", "sample_every=0", "regime=plain"]
    assert sparring("train", "robgan/digits", *keys, "--out", run).code == 0
    assert sparring("sample", run, "-n", 6, "--label", 3, "--out", out).code == 0
    gan = load_gan(RunFolder.open(run), "cpu")
    expected = draw(gan, 6, "sample", 0, labels=torch.full((6,), 3)).samples.numpy()
    with np.load(out) as drawn:
        assert drawn["labels"].tolist() == [3] * 6
        assert np.array_equal(drawn["samples"], expected)
    for label in ("12", "cat"):
        refused = sparring("sample", run, "--label", label, "--out", out)
        assert refused.code == 2 and f"label '{label}': no such class\n" in refused.err
        assert "a number from 0 to 9, or of 0, 1, 2" in refused.err


def test_a_class_has_a_number_or_a_name(sparring: Command, tmp_path: Path) -> None:
    folders, run = tmp_path / "images", tmp_path / "run"
    for number, name in enumerate(("cat", "dog")):
        (folders / name).mkdir(parents=True)
        for index in range(4):
            pixels = np.full((8, 8), 40 * number + index, dtype=np.uint8)
            Image.fromarray(pixels).save(folders / name / f"{index}.png")
    prepare(str(folders), tmp_path / "store")
    keys = ["steps=1", "batch_size=4", "evaluate_every=0", "sample_every=0", "regime=plain"]
    assert sparring("train", "robgan/digits", f"data={tmp_path / 'store'}", *keys, "--out", run).code == 0
    gan = load_gan(RunFolder.open(run), "cpu")
    assert [class_number(gan, label) for label in ("dog", "1", 1, "cat")] == [1, 1, 1, 0]
    with pytest.raises(UsageError, match="did you mean dog"):
        class_number(gan, "doge")


def test_a_generator_without_classes_has_no_label(sparring: Command, recipe_file: Path, tmp_path: Path) -> None:
    assert sparring("train", recipe_file, "steps=1", "evaluate_every=0", "--out", tmp_path / "run").code == 0
    refused = sparring("sample", tmp_path / "run", "--label", 3, "--out", tmp_path / "samples.npz")
    assert refused.code == 2 and "its generator has no classes" in refused.err


def test_evaluate_by_another_extractor(sparring: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SmallCNN, "training", TrainingSettings(images_seen=1000, rate=1e-3))
    run, weights = tmp_path / "run", tmp_path / "weights.pth"
    keys = ["steps=1", "replicas=1", "evaluate_every=0", "sample_every=0"]
    assert sparring("train", "dishonest/digits", *keys, "--out", run).code == 0
    found = json.loads(sparring("evaluate", run, "--samples", 64, "--extractor", "classifier", "--json").out)
    distance = found["metrics"]["frechet_distance"]
    assert "64 generated" in distance["protocol"]
    assert distance["interval"][0] < distance["value"] < distance["interval"][1]
    extractor = f"{{name: inception, weights: {weights}}}"
    missing = sparring("evaluate", run, "--extractor", extractor)
    assert missing.code == 2 and str(weights) in missing.err and "pytorch-fid" in missing.err
    weights.write_bytes(b"something else")
    other = sparring("evaluate", run, "--extractor", extractor)
    assert other.code == 4 and "SHA-256" in other.err
    unknown = sparring("evaluate", run, "--extractor", "inceptoin")
    assert unknown.code == 2 and "did you mean inception" in unknown.err


def test_evaluate_reports_what_it_cannot_measure_and_measures_the_rest(
    sparring: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    keys = ["steps=1", "replicas=1", "evaluate_every=0", "sample_every=0"]
    assert sparring("train", "dishonest/digits", *keys, "--out", run).code == 0
    monkeypatch.setattr(
        "sparring.monitoring.generator_metrics.classifier_for", lambda *_: None
    )  # as of images without labels
    monkeypatch.setattr(lipschitz_bound, "_RULES", {})
    found = json.loads(sparring("evaluate", run, "--json").out)
    no_features, no_bound = found["problems"]
    assert "no metric of features applies" in no_features
    assert "such as {name: inception, weights: FILE}" in no_features
    assert "no Lipschitz bound" in no_bound
    slopes = {"gradient_norm_real", "gradient_norm_real_max", "gradient_norm_fake", "gradient_norm_fake_max"}
    assert found["metrics"].keys() == slopes | {"steepest_pair", "sliced_wasserstein", "sliced_wasserstein_floor"}
    shown = sparring("evaluate", run)
    assert shown.code == 0 and "steepest_pair" in shown.out and "no Lipschitz bound" in shown.err


def _wait_for(path: Path) -> None:
    """Ten minutes at most: a deadline against hanging."""
    for _ in range(6000):
        if path.exists() and path.stat().st_size:
            return
        time.sleep(0.1)
    raise TimeoutError(path)


def test_a_stopped_demo_stops_its_workers_which_save(tmp_path: Path) -> None:
    """Ctrl-C reaches every process of a terminal."""
    command = [sys.executable, "-m", "sparring", "demo", "--out", str(tmp_path), "--steps", "1000000", "--seeds", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        _wait_for(tmp_path / "log-p0" / "recipe.yaml")
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=600)  # returns when the last worker has closed the pipe
    assert process.returncode == 130
    assert b"Traceback" not in errors
    for run in [RunFolder.open(path.parent) for path in tmp_path.glob("*/recipe.yaml")]:
        assert run.summary().status == "interrupted"
        assert run.saved() or run.summary().steps == 0  # nothing is saved before the first round
        assert not run.is_owned()


USAGE = {
    "unknown key": (["objectve=log"], "did you mean objective?"),
    "near-typo of a name": (["objective=liner"], "did you mean linear?"),
    "not KEY=VALUE": (["steps"], "not KEY=VALUE"),
    "missing data set": (["data=nowhere/mnist", "generator={name: mnist, latent: 8}"], "nowhere/mnist"),
    "network that does not fit": (["generator={name: mnist, latent: 8}", "replicas=1"], "needs images"),
    "network that does not pack": (
        ["data=digits", "generator={name: mnist, latent: 8}"],
        "does not support packed games",
    ),
}


@pytest.mark.parametrize("case", USAGE)
def test_a_bad_recipe_is_two_lines_and_no_folder(case: str, sparring: Command, tmp_path: Path) -> None:
    overrides, words = USAGE[case]
    answer = sparring("train", "dishonest/ring-small", *overrides, "--out", tmp_path / "run")
    assert answer.code == 2
    assert words in answer.err
    assert len(answer.err.strip().splitlines()) == 2
    assert "Traceback" not in answer.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_exit_2(device: str, sparring: Command, tmp_path: Path) -> None:
    answer = sparring("train", "dishonest/ring-small", "--device", device, "--out", tmp_path / "run")
    assert answer.code == 2 and device in answer.err
    assert not (tmp_path / "run").exists()


BAD = {
    "trian": ("Did you mean 'train'?", "see `sparring --help`"),
    "train": ("missing argument 'recipe'", "a name from `sparring list recipes`"),
    "train dishonest/ring": ("missing option '--out'", "the run folder to create"),
    "train dishonest/ring --steps 3": ("no such option: --steps", "a key of the recipe is written steps=VALUE"),
    "train dishonest/ring --threads x": ("'--threads': Input should be a valid integer", "CPU threads"),
    "sample run -n 0": ("greater than or equal to 1", "samples per game"),
    "report run --x apples": ("'apples' is not one of 'rounds'", "what the lines are drawn over"),
    "data prepare digits": ("sparring data prepare: missing option '--out'", "the store to create"),
    "--verison": ("--version", "see `sparring --help`"),
    "list colours": ("'colours' cannot be listed", "one of: recipes"),
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_usage_is_exit_2_and_two_lines(arguments: str, sparring: Command) -> None:
    answer = sparring(*arguments.split())
    assert answer.code == 2
    cause, remedy = answer.err.strip().splitlines()
    assert cause.startswith("error: ") and BAD[arguments][0] in cause
    assert remedy.startswith("  try: ") and BAD[arguments][1] in remedy


def test_the_version_and_help_without_a_verb(sparring: Command) -> None:
    assert sparring("--version").out == f"sparring {__version__}\n"
    assert all(sparring(*words).code == 0 for words in ((), ("data",)))


def test_a_damaged_store_is_exit_4_before_the_first_round(sparring: Command, tmp_path: Path) -> None:
    prepare("digits", tmp_path / "store")
    samples = tmp_path / "store" / "train" / "samples.npy"
    samples.write_bytes(samples.read_bytes()[:-100])
    answer = sparring("train", "dishonest/digits", f"data={tmp_path / 'store'}", "--out", tmp_path / "run")
    assert answer.code == 4
    assert "samples.npy" in answer.err
    assert not (tmp_path / "run").exists()


def test_a_traceback_comes_only_with_debug(sparring: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_kind: str) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("sparring.cli.listing.catalogue", broken)
    quiet, loud = sparring("list", "recipes"), sparring("--debug", "list", "recipes")
    assert quiet.code == loud.code == 1
    assert "Traceback" not in quiet.err and "--debug" in quiet.err
    assert "Traceback" in loud.err


def test_help_does_not_import_torch() -> None:
    call = "app(['--help'], standalone_mode=False)"
    program = f"import sys; from sparring.cli import app; {call}; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip().endswith("False")
    assert "train" in answer.stdout


def test_a_closed_pipe_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    with show_progress("rounds") as progress:
        progress.note("a remark")
        progress.advance(1, 1)
    print_error(UsageError("a cause", "a remedy"))
