"""Pages of classifiers in training, and of games with classes: every number drawn, and nothing of what is not there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from new_run import new_run
from report_pages import Page, played
from sparring.recipes import AnyRecipe, load, validated
from sparring.report import report_run, report_runs
from sparring.report.chart_specs import is_of_training
from sparring.report.metric_info import METRICS
from sparring.report.overlays import ALL, overlays
from sparring.report.read import read_run
from sparring.report.run_charts import charts
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue, Summary
from sparring.training.loop import train

PGD = {"name": "pgd", "epsilon": 16 / 255, "steps": 3}
FAKES = {"run": "runs/mnist", "weight": 0.5}


def recipe(**changes: Any) -> AnyRecipe:
    values = {
        "description": "A classifier of digits", "data": "digits", "classifier": {"name": "small_cnn", "width": 2},
        "attack": PGD, "optimizer": {"name": "adam", "lr": 0.01}, "batch_size": 16, "steps": 4, "log_every": 2,
        "evaluate_every": 2, "checkpoint_every": 0,
    }  # fmt: skip
    return validated(values | changes, "a test")


def taught(path: Path, *, sides: tuple[str, ...] = ("real",), best: float = 0.75, **changes: Any) -> RunFolder:
    """A run folder as the engine leaves it, without training; the accuracies of round 4 are lower than of round 2."""
    run = new_run(path, recipe(**changes), {"device": "cpu (test)"})
    for step, shift in ((2, 0.0), (4, 0.125)):
        row = {"loss": 2.5 - step / 2, "gradient_classifier": 1.5}
        for side in sides:
            row |= {f"loss_{side}": 2.0 - step / 2, f"accuracy_{side}": 0.5 + shift, f"attack_{side}_size": 0.0625}
        row |= {"accuracy_test": best + 0.125 - shift, "robust_accuracy_test": best - shift, "llv_test": 0.5}
        row |= {"accuracy_train": 1.0, "robust_accuracy_train": best + 0.125, "llv_train": 0.25}
        run.append_row({"step": step} | row)
    metrics = {
        f"{name}{kind}": MetricValue(value=row[name], interval=(0.25, 0.5), protocol=f"protocol of {name}")
        for name in ("accuracy_test", "robust_accuracy_test")
        for kind in ("", "_best")
    }
    run.write_summary(Summary(status="complete", steps=4, seconds=3.0, metrics=metrics))
    return run


def test_a_classifier_s_page_speaks_of_no_game(tmp_path: Path) -> None:
    page = Page(report_run(taught(tmp_path / "run")))
    assert "Classifier small_cnn (width 2) is trained on digits under pgd (epsilon 0.06275" in page.text
    assert "on cross_entropy; seed 0, 4 rounds of batches of 16." in page.text
    assert (
        "Accuracy 75.0 % at round 4, best 87.5 % at round 2; "
        "accuracy under PGD-20, L-infinity 16/255 62.5 % at round 4, best 75.0 % at round 2."
    ) in page.text
    assert "Accuracy, at the best round under attack" in page.text
    assert "62.5 %[25 %, 50 %]" in page.text and "protocol of robust_accuracy_test" in page.text
    places = [page.text.index(title) for title in ("Training", "Final numbers", "Settings")]
    assert places == sorted(places)
    assert not re.search("Generated samples|What D|Payoff|success|[Gg]ames|No samples", page.text)


def test_its_charts_show_the_gaps_the_loss_and_the_attacks(tmp_path: Path) -> None:
    drawn = {chart.title: chart for chart in charts(read_run(taught(tmp_path / "run")), "x")}
    assert list(drawn) == [
        "Accuracy", "Accuracy under PGD-20, L-infinity 16/255", "Local Lipschitz value", "Loss",
        "Accuracy on training batches", "Gradient norm", "Size of the training attacks",
    ]  # fmt: skip
    found = {
        title: [(line.label, line.values[:, 0].tolist()) for line in chart.curves] for title, chart in drawn.items()
    }
    assert found["Accuracy"] == [("held-out samples", [87.5, 75.0]), ("training samples", [100.0, 100.0])]
    assert found["Accuracy under PGD-20, L-infinity 16/255"] == [
        ("held-out samples", [75.0, 62.5]), ("training samples", [87.5, 87.5])
    ]  # fmt: skip
    assert found["Local Lipschitz value"] == [("held-out samples", [0.5, 0.5]), ("training samples", [0.25, 0.25])]
    assert found["Loss"] == [("real", [1.0, 0.0])]
    assert found["Accuracy on training batches"] == [("real", [50.0, 62.5])]
    assert drawn["Size of the training attacks"].marks[0].value == pytest.approx(16 / 255)
    assert "16/255 (0.0627 of [0, 1], 0.125 of [-1, 1])" in drawn["Size of the training attacks"].caption


def test_plain_training_has_no_attack_to_draw(tmp_path: Path) -> None:
    run = taught(tmp_path / "run", attack="none")
    rows = [row | {"attack_real_size": 0.0, "attack_real_idle": 0.0} for row in run.rows()]
    run.rows_path.write_text("")
    for row in rows:
        run.append_row(row)
    page = Page(report_run(run))
    assert "is trained on digits without attack" in page.text
    assert "Accuracy under PGD-20, L-infinity 8/255" in page.text
    assert "raining attacks" not in page.text


def test_generated_samples_have_lines_of_their_own(tmp_path: Path) -> None:
    run = taught(tmp_path / "run", sides=("real", "fake"), fakes=FAKES, start={"run": "runs/mnist"})
    (loss,) = [chart for chart in charts(read_run(run), "x") if chart.title == "Loss"]
    assert [line.label for line in loss.curves] == ["real + weight × generated", "real", "generated"]
    assert loss.curves[0].values[:, 0].tolist() == [1.5, 0.5]
    text = Page(report_run(run)).text
    assert "is trained on digits and, with weight 0.5, on generated samples of runs/mnist under pgd" in text
    assert "it starts from runs/mnist;" in text


def test_a_share_of_generated_samples_and_the_loss_are_named(tmp_path: Path) -> None:
    fakes = {"data": {"name": "store", "path": "stores/made"}, "share": 0.7, "labels": "runs/judge"}
    attack = PGD | {"start": "random"}
    text = Page(report_run(taught(tmp_path / "run", fakes=fakes, loss="trades", attack=attack))).text
    assert "is trained with loss trades (beta 6, label_smoothing 0) on digits and, as 70 % of every batch, on" in text
    assert (
        "on generated samples of store (path stores/made, split train, share 1), labelled by runs/judge, under pgd"
        in text
    )
    assert "on cross_entropy" not in text


@pytest.mark.usefixtures("undrawn")
def test_accuracies_under_unlike_attacks_share_no_chart(tmp_path: Path) -> None:
    folders = [
        taught(tmp_path / "a"),
        taught(tmp_path / "b", best=0.5, seed=1),
        taught(tmp_path / "c", attack=PGD | {"epsilon": 8 / 255}),
    ]
    shared = {
        chart.title: [line.label for line in chart.curves]
        for chart in overlays(list(map(read_run, folders)), ALL).charts
    }
    strong, weak = "epsilon 0.0627451", "epsilon 0.0313725"
    assert shared["Accuracy"] == [strong, weak]
    assert shared["Accuracy under PGD-20, L-infinity 16/255"] == [strong]
    assert shared["Accuracy under PGD-20, L-infinity 8/255"] == [weak]
    page = Page(report_runs(folders, tmp_path / "all.html", title="three"))
    assert "3 runs: accuracy from 50.0 % to 75.0 % at the end." in page.text
    assert "Accuracy at the end" in page.text
    assert len(page.ids) == len(set(page.ids))
    assert not re.search("Generated samples|Where games succeed|success", page.text)


@pytest.mark.usefixtures("undrawn")
def test_a_game_and_a_classifier_share_a_page(tmp_path: Path) -> None:
    folders = [played(tmp_path / "game", [], wins=1), taught(tmp_path / "classifier")]
    page = Page(report_runs(folders, tmp_path / "all.html", title="both"))
    assert "1 of 3 games learned all 8 modes, in 1 run." in page.text
    for title in (
        "Mean output of D, run 1: game",
        "Loss, run 2: classifier",
        "Generated samples",
        "Measures over rounds, by ",
    ):
        assert title in page.text
    assert len(page.classed("run")) == 2


def test_what_a_real_run_logs_is_known(tmp_path: Path) -> None:
    train(recipe(), tmp_path / "run", device="cpu")
    run = read_run(RunFolder.open(tmp_path / "run"))
    assert {name for name in run.logged if not is_of_training(name)} <= METRICS.keys()
    assert run.metrics.keys() <= METRICS.keys()
    assert {"loss", "accuracy_test", "robust_accuracy_train", "llv_test"} <= set(run.logged)


def test_a_game_with_classes_shows_what_d_s_class_head_gets_right(tmp_path: Path) -> None:
    keys = ["class_loss=ac", "discriminator.head=auxiliary", "generator.conditional=true", "regime=symmetric"]
    run = new_run(tmp_path / "run", load("dishonest/digits", [*keys, "replicas=1"]))
    names = ("class_accuracy_real", "class_accuracy_real_adversarial", "class_accuracy_fake")
    run.append_row({"step": 1, "payoff_d": -1.0, "payoff_g": -2.0} | dict(zip(names, (0.75, 0.5, 0.25), strict=True)))
    drawn = {chart.title: chart for chart in charts(read_run(run), "x")}
    lines = drawn["Accuracy of D's class head"].curves
    assert [(line.label, line.values.item()) for line in lines] == [
        ("real", 75.0), ("real, attacked", 50.0), ("generated", 25.0)
    ]  # fmt: skip
    assert drawn["Payoffs"].marks == ()
    page = Page(report_run(run))
    assert "and class loss ac" in page.text
    assert "class_accuracy" not in page.text.split("Final numbers")[1].split("Recipe, every key")[0]
