"""Robustness on a page: the numbers of the file, flags instead of headlines, several runs side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluations import evaluated, flagged, target
from report_pages import Page, pixels_of, played
from sparring.attacks import in_scales
from sparring.report import report_folder, report_run, report_runs
from sparring.report.charts import Chart, Curve
from sparring.report.robustness_section import TargetSection, compare_robustness, target_sections
from sparring.runs.folder import RunFolder
from sparring.runs.robustness_schema import Robustness, TargetRobustness


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return played(tmp_path / "run", [], wins=1, games=1)


def percents(entry: Mapping[str, Any]) -> tuple[str, str]:
    low, high = entry["interval"]
    return f"{100 * entry['value']:.1f} %", f"[{100 * low:.1f}, {100 * high:.1f}]"


def section_of(run: RunFolder) -> TargetSection:
    (section,) = target_sections(Robustness.read(run.path / "robustness.json"), run.path, "x")
    return section


@pytest.mark.usefixtures("undrawn")
def test_every_number_of_the_file_is_on_the_page(run: RunFolder) -> None:
    values = target()
    page = Page(report_run(evaluated(run, values)))
    assert values["headline"]["text"] in page.text
    assert "500 held-out samples, 10 classes, clean accuracy 96.8 % [94.9, 98.0]" in page.text
    assert f"trained against {values['trained_against']}" in page.text
    assert "Evaluated after round 200. Seed 3 of samples and attacks." in page.text
    table = page.text.split("Every attack")[1]
    for entry in values["attacks"]:
        assert f"{entry['name']}{entry['kind']}{''.join(percents(entry['accuracy']))}0.1 → 241 + 40" in table
        assert f"{entry['norm']}, epsilon {entry['scales']}" in table
    for entry in values["worst"]:
        assert f"{len(entry['attacks'])} attacks" in table or len(entry["attacks"]) == 1
        assert "".join(percents(entry["accuracy"])) in table
    checks = page.text.split("Sanity checks")[1].split("Every attack")[0]
    for check in values["sanity_checks"]:
        mark = "✓ holds" if check["holds"] else "– does not apply"
        assert f"{check['check']}{mark}{check['detail']}" in checks
    matrix = page.text.split("Transfer")[1].split("Adversarial samples made on one network")[0]
    assert [cell in matrix for cell in ("2 %[1, 4]", "91 %[88, 93]", "55 %[50, 60]", "62 %[58, 66]")] == [True] * 4


def test_charts_draw_the_file_clean_at_zero_and_the_worst_case_bold(run: RunFolder) -> None:
    values = target()
    linf, l2 = section_of(evaluated(run, values)).charts
    assert [chart.title.split(", ")[1] for chart in (linf, l2)] == ["L-infinity", "L2"]  # one size makes no curve
    worst, first, *others, training = linf.curves
    assert [curve.label for curve in (worst, first, training)] == ["worst case", "PGD-20 x 2", "training samples"]
    assert worst.width > max(curve.width for curve in (first, *others, training))
    assert len(others) == 4 and "The table has further attacks." in linf.caption
    assert worst.steps.tolist() == pytest.approx([0, 4, 8, 16, 32])
    assert (linf.across, linf.unit) == ("epsilon (/255)", "accuracy (%)")
    assert in_scales(32 / 255) in linf.caption
    for curve, rates in (
        (worst, [values["clean"], *(each["accuracy"] for each in values["worst"][:4])]),
        (first, [values["clean"], *(each["accuracy"] for each in values["attacks"][:4])]),
        (training, [values["train_clean"], *(each["accuracy"] for each in values["train_attacked"])]),
    ):
        assert curve.values[:, 0].tolist() == pytest.approx([100 * each["value"] for each in rates])
        assert curve.band is not None
        assert curve.band.ravel().tolist() == pytest.approx([100 * end for each in rates for end in each["interval"]])
    assert [curve.label for curve in l2.curves] == ["worst case", "PGD-20 (L2)"]


def test_a_band_is_drawn_where_its_interval_is() -> None:
    steps, values = np.array([0.0, 1.0]), np.array([[50.0], [50.0]])
    plain = Curve("a", steps, values, "#000000")
    banded = Curve("a", steps, values, "#000000", band=np.array([[40.0, 60.0], [40.0, 60.0]]))
    drawn = [Chart("k", "t", "", "u", (curve,), limits=(0.0, 100.0)).svg() for curve in (plain, banded)]
    assert ["opacity: 0.1" in svg for svg in drawn] == [False, True]


@pytest.mark.usefixtures("undrawn")
def test_a_flagged_target_has_no_headline(run: RunFolder) -> None:
    values = flagged()
    page = Page(report_run(evaluated(run, values)))
    text = page.text.split("Robustness")[1]
    assert "Flagged: do not quote the accuracies below. 1 sanity check failed:" in text
    assert values["flags"][0] in text and "✗ fails" in text
    assert text.index("Flagged") < text.index("clean accuracy")
    assert "Accuracy under attack, L-infinity (flagged)" in page.text
    assert len(page.classed("verdict")) == 1  # that of the game
    assert "class head: do not quote an accuracy, 1 sanity check failed." in page.text


def test_examples_are_those_of_the_file_with_errors_marked(run: RunFolder) -> None:
    section = section_of(evaluated(run, target()))
    with np.load(run.path / "robustness.npz") as file:
        arrays = {name: file[f"0/{name}"] for name in ("clean", "adversarial", "perturbation", "predicted")}
    assert len(section.examples) == 2
    for block, group in enumerate(section.examples):
        shown = (arrays["clean"], arrays["adversarial"], arrays["perturbation"].astype(int) + 128)
        for strip, pictures in zip(group.strips, shown, strict=True):
            assert np.array_equal(pixels_of(strip), pictures[block, :6, 0])
        clean, adversarial, difference = group.strips
        assert adversarial.notes == tuple(map(str, arrays["predicted"][block, :6]))
        assert (clean.wrong, adversarial.wrong, difference.notes) == (frozenset(), frozenset({1, 3, 5}), ())
    assert section.examples[0].title == f"PGD-20 x 2, epsilon {in_scales(32 / 255)}"


def test_several_targets_have_a_section_each(run: RunFolder) -> None:
    values = target(), flagged("source head", classes=["generated", "real"]), target("both")
    page = Page(report_run(evaluated(run, *values)))
    assert len(page.classed("target")) == 3
    assert page.text.count("Flagged") == 1
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("content", [b"", b"[]", b'{"targets": 3}', b'{"seed": 3, "step": 1, "targets": [{}]}'])
def test_a_damaged_file_is_a_note(run: RunFolder, content: bytes) -> None:
    (run.path / "robustness.json").write_bytes(content)
    for page in (Page(report_run(run)), Page(report_runs([run], run.path / "all.html", title="t"))):
        assert "robustness.json is damaged" in page.text
        assert "learned all 8 modes" in page.text


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_bytes(b"PK\x03\x04 cut"),
        lambda path: np.savez(path, **{"0/renamed": np.zeros(3)}),
    ],
    ids=["gone", "cut", "renamed"],
)
def test_damaged_arrays_are_a_note(run: RunFolder, damage: Callable[[Path], object]) -> None:
    damage(evaluated(run, target()).path / "robustness.npz")
    page = Page(report_run(run))
    assert "robustness.npz is missing or damaged" in page.text
    assert "Every attack" in page.text


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("game", [0, 1])
def test_the_attacked_game_of_a_pack_is_named_by_its_seed(tmp_path: Path, game: int) -> None:
    pack = evaluated(played(tmp_path / "pack", ["seed=4"], wins=1, games=2), target())
    content = json.loads((pack.path / "robustness.json").read_text())
    (pack.path / "robustness.json").write_text(json.dumps(content | {"game": game}))
    assert f"Evaluated after round 200, seed {4 + game}. Seed 3 of samples" in Page(report_run(pack)).text


def test_text_is_escaped(run: RunFolder) -> None:
    page = Page(report_run(evaluated(run, target("<i>", classes=["<b>", *"123456789"]))))
    assert ">&lt;b&gt;</span>" in page.source and not page.named("b") and not page.named("i")


@pytest.mark.usefixtures("undrawn")
def test_runs_are_compared_side_by_side(tmp_path: Path) -> None:
    names = ("plain", "robust", "broken", "never")
    runs = [played(tmp_path / name, [f"seed={index}"], wins=1, games=1) for index, name in enumerate(names)]
    values = target(strength=60.0), target(), flagged(strength=3.0)
    for run, each in zip(runs, values, strict=False):
        evaluated(run, each)
    found = [Robustness.read(run.path / "robustness.json") for run in runs[:3]]
    (comparison,) = compare_robustness([*found, None])
    assert comparison.norms[:2] == (
        ("L-infinity", ("4/255", "8/255", "16/255", "32/255")),
        ("L2", ("63.8/255", "255/255")),
    )
    assert [each.index for each in comparison.targets] == [1, 2, 3]
    for compared, each in zip(comparison.targets, values, strict=True):
        assert [case and case.accuracy.value for case in compared.worst] == [
            case["accuracy"]["value"] for case in each["worst"]
        ]
    linf = comparison.charts[0]
    assert [curve.label for curve in linf.curves] == ["run 1", "run 2", "run 3 (flagged)"]
    assert [curve.width for curve in linf.curves] == [2.0, 2.0, 1.0]
    last = found[1].targets[0].model_copy(update={"name": "final classifier"})
    (both,) = compare_robustness([found[0].model_copy(update={"targets": (*found[0].targets, last)})])
    labels, looks = zip(*((curve.label, (curve.colour, curve.dash)) for curve in both.charts[0].curves), strict=True)
    assert labels == (f"run 1, {found[0].targets[0].name}", "run 1, final classifier") and looks[0] != looks[1]
    assert linf.curves[1].values[2, 0] == pytest.approx(100 * values[1]["worst"][1]["accuracy"]["value"])
    page = Page(report_runs(runs, tmp_path / "all.html", title="four"))
    text = page.text.split("Robustness")[1].split("Generated samples")[0]
    assert "✗ flagged" in text and text.count("✓ holds") == 2 and "never" not in text
    assert page.text.count("Every attack") == 3


def test_different_tasks_and_sizes_do_not_compare() -> None:
    few = [each for each in target()["worst"] if each["epsilon"] < 0.1 and each["norm"] == "L-infinity"]
    evaluations = [
        Robustness(step=1, seed=0, targets=tuple(map(TargetRobustness.model_validate, values)))
        for values in ((target(), target("source head")), (target("classifier", worst=few),))
    ]
    classes, source = compare_robustness(evaluations)
    assert (classes.task, source.task) == ("classes", "real or generated")
    assert [len(each.targets) for each in (classes, source)] == [2, 1]
    assert classes.targets[1].worst.count(None) == 4
    keys = [chart.key for each in (classes, source) for chart in each.charts]
    assert len(keys) == len(set(keys)) == 6


@pytest.mark.usefixtures("undrawn")
def test_runs_without_an_evaluation_have_no_section(run: RunFolder) -> None:
    assert "obustness" not in Page(report_run(run)).text
    assert "obustness" not in Page(report_runs([run], run.path / "all.html", title="t")).text


@pytest.mark.usefixtures("undrawn")
def test_a_model_has_a_page(run: RunFolder, tmp_path: Path) -> None:
    values = target("models:resnet", trained_against=None, remarks=["steps too few"])
    evaluated(run, values)
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("robustness.json", "robustness.npz"):
        (run.path / name).rename(folder / name)
    content = json.loads((folder / "robustness.json").read_text())
    problems = {"step": None, "problems": ["a checkpoint was damaged"]}
    (folder / "robustness.json").write_text(json.dumps(content | problems))
    page = Page(report_folder(folder))
    for text in ("models:resnet", "trained without an attack", "steps too few", "a checkpoint was damaged"):
        assert text in page.text
    assert values["headline"]["text"] in page.text and "after round" not in page.text
    assert len(page.classed("strip-group")) == 2
