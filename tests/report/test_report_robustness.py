"""The report's section on robustness: the numbers of the file, flags before headlines, and whatever parts are left."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from report_pages import HARMLESS, HOSTILE, Page, played
from sparring.attacks import in_scales
from sparring.core.errors import UsageError
from sparring.core.intervals import wilson
from sparring.data.digits import load_digits
from sparring.report import report_card, report_run, report_runs
from sparring.report.adversaries import TILES
from sparring.report.cards import read_card
from sparring.report.charts import Chart, Line
from sparring.report.format import short
from sparring.report.robust_runs import sides
from sparring.report.robustness import Part, parts_of
from sparring.runs.folder import RunFolder

EPSILONS = tuple(level / 255 for level in (4, 8, 16, 32))
CHECKS = ("loss rises", "more steps help", "more budget helps", "noise is weaker", "no trace")


def rate(value: float, samples: int = 500) -> dict[str, Any]:
    hits = round(value * samples)
    return {"value": hits / samples, "interval": list(wilson(hits, samples))}


def attack(name: str, kind: str, norm: str, epsilon: float, value: float, loss: float | None = 0.1) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "norm": norm, "epsilon": epsilon, "scales": in_scales(epsilon),
        "accuracy": rate(value), "loss_start": loss, "loss_end": loss and 20 * loss, "seconds": 1.25,
        "forwards": 41.0, "backwards": 40.0, "settings": {"name": "pgd"},
    }  # fmt: skip


def subject(name: str = "class head", strength: float = 30.0, **changes: Any) -> dict[str, Any]:
    """A subject whose accuracy falls as exp(-strength epsilon) under the strongest attack."""
    kinds = {"PGD-20 x 2": ("white-box", 1.0), "APGD-CE": ("white-box", 1.03), "APGD-T": ("white-box", 1.06)}
    kinds |= {"FGSM": ("white-box", 0.7), "NES-20": ("black-box", 0.6), "Square-500": ("black-box", 0.8)}
    kinds |= {"noise, best of 10": ("noise", 0.08)}

    def left(epsilon: float, factor: float) -> float:
        return float(0.97 * np.exp(-strength * epsilon * factor))

    linf = [
        attack(each, kind, "L-infinity", epsilon, left(epsilon, factor))
        for each, (kind, factor) in kinds.items()
        for epsilon in EPSILONS
    ]
    l2 = [attack("PGD-20 (L2)", "white-box", "L2", epsilon, left(epsilon, 0.1)) for epsilon in (0.25, 0.5, 1.0)]
    other = [attack("dimming", "other", "dimming", 0.5, 0.8, None)]
    worst = [
        {"epsilon": epsilon, "norm": "L-infinity", "scales": in_scales(epsilon), "accuracy": rate(left(epsilon, 1.1)),
         "attacks": list(kinds)}
        for epsilon in EPSILONS
    ]  # fmt: skip
    worst += [
        {name: each[name] for name in ("epsilon", "norm", "scales", "accuracy")} | {"attacks": ["PGD-20 (L2)"]}
        for each in l2
    ]
    value = worst[1]["accuracy"]["value"]
    return {
        "subject": name, "samples": 500, "evaluated_on": "held-out", "classes": [str(digit) for digit in range(10)],
        "trained_against": f"PGD, L-infinity, epsilon {in_scales(8 / 255)}, 10 steps",
        "clean": rate(0.968), "train_clean": rate(0.998),
        "train_attacked": [{"epsilon": epsilon, "accuracy": rate(left(epsilon, 0.5))} for epsilon in EPSILONS],
        "epsilons": list(EPSILONS), "attacks": linf + l2 + other, "worst": worst,
        "battery": [
            {"check": check, "holds": True, "detail": f"{index}.5 % against {index}.0 %"}
            for index, check in enumerate(CHECKS)
        ] + [{"check": "transfer is weaker", "holds": None, "detail": "no other run was given"}],
        "flags": [],
        "headline": {
            "text": f"{100 * value:.1f} % of held-out samples withstand every attack at {in_scales(8 / 255)}.",
            "epsilon": 8 / 255, "accuracy": worst[1]["accuracy"],
        },
        "examples": [{"epsilon": 32 / 255, "attack": "PGD-20 x 2"}, {"epsilon": 1.0, "attack": "PGD-20 (L2)"}],
        "transfer": {
            "sources": ["plain", "rob-gan"], "targets": ["plain", "rob-gan"], "epsilon": 8 / 255,
            "scales": in_scales(8 / 255), "attack": "PGD-20", "accuracy": [[0.02, 0.91], [0.55, 0.62]],
            "interval": [[[0.01, 0.04], [0.88, 0.93]], [[0.5, 0.6], [0.58, 0.66]]],
        },
    } | changes  # fmt: skip


def flagged(name: str = "class head", **changes: Any) -> dict[str, Any]:
    """The same, of which a check failed; the file wrongly still has a headline."""
    sound = subject(name, **changes)
    failed = {"check": "more steps help", "holds": False, "detail": "PGD-20 61.2 %, PGD-1 55.0 %"}
    battery = [failed if check["check"] == failed["check"] else check for check in sound["battery"]]
    return sound | {"battery": battery, "flags": ["more steps help: PGD-20 61.2 %, PGD-1 55.0 %"]}


def images(epsilons: tuple[float, ...], count: int = 10) -> dict[str, npt.NDArray[Any]]:
    """One block of digits for each epsilon, every entry moved by it, and every second one then taken for the next."""
    samples, labels = load_digits()
    clean = np.stack([16 * samples[:count].clip(0, 15)] * len(epsilons)).astype(np.uint8)
    signs = np.where(np.indices(clean.shape).sum(0) % 2, 1, -1)
    moved = [
        np.clip(block + round(255 * epsilon) * sign, 0, 255)
        for block, epsilon, sign in zip(clean.astype(int), epsilons, signs, strict=True)
    ]
    true = np.stack([labels[:count]] * len(epsilons)).astype(np.int64)
    return {
        "clean": clean, "adversarial": np.stack(moved).astype(np.uint8), "perturbation": (127 * signs).astype(np.int8),
        "labels": true, "predicted_clean": true, "predicted": (true + np.arange(count) % 2) % 10,
    }  # fmt: skip


def evaluated(run: RunFolder, *subjects: Mapping[str, Any]) -> RunFolder:
    """The run with what an evaluation writes into its folder."""
    (run.path / "robustness.json").write_text(json.dumps({"step": 200, "seed": 3, "subjects": subjects}))
    blocks = {
        f"{index}/{name}": array
        for index, each in enumerate(subjects)
        for name, array in images(tuple(example["epsilon"] for example in each["examples"])).items()
    }
    np.savez(run.path / "robustness.npz", **blocks)
    return run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return played(tmp_path / "run", [], wins=1, games=1)


def percents(entry: Mapping[str, Any]) -> tuple[str, str]:
    low, high = entry["interval"]
    return f"{100 * entry['value']:.1f} %", f"[{100 * low:.1f}, {100 * high:.1f}]"


def part_of(run: RunFolder) -> Part:
    card = read_card(run.path)
    assert card is not None
    (part,) = parts_of(card, "x")
    return part


def test_every_number_of_the_file_is_on_the_page(run: RunFolder) -> None:
    told = subject()
    page = Page(report_run(evaluated(run, told)))
    assert told["headline"]["text"] in page.text
    assert "500 held-out samples, 10 classes, clean accuracy 96.8 % [94.9, 98.0]" in page.text
    assert f"trained against {told['trained_against']}" in page.text
    assert "Evaluated after round 200. Seed 3 of samples and attacks." in page.text
    table = page.text.split("Every attack")[1]
    for entry in told["attacks"]:
        assert f"{entry['name']}{entry['kind']}{''.join(percents(entry['accuracy']))}" in table
        assert f"{entry['norm']}, epsilon {entry['scales']}" in table
    for entry in told["worst"]:
        assert f"{len(entry['attacks'])} attacks" in table or len(entry["attacks"]) == 1
        assert "".join(percents(entry["accuracy"])) in table
    assert table.count("0.1 → 2") == len(told["attacks"]) - 1
    assert table.count("41 + 40") == len(told["attacks"])
    battery = page.text.split("Can the numbers be believed?")[1].split("Every attack")[0]
    for check in told["battery"]:
        mark = "✓ holds" if check["holds"] else "– does not apply"
        assert f"{check['check']}{mark}{check['detail']}" in battery
    matrix = page.text.split("Transfer")[1].split("Adversarial samples of one network")[0]
    assert [cell in matrix for cell in ("2 %[1, 4]", "91 %[88, 93]", "55 %[50, 60]", "62 %[58, 66]")] == [True] * 4


def test_charts_draw_the_file_clean_at_zero_and_the_worst_case_bold(run: RunFolder) -> None:
    told = subject()
    linf, l2 = part_of(evaluated(run, told)).charts
    assert [chart.title.split(", ")[1] for chart in (linf, l2)] == ["L-infinity", "L2"]  # one size makes no curve
    worst, first, *others, training = linf.lines
    assert [line.label for line in (worst, first, training)] == ["worst case", "PGD-20 x 2", "training samples"]
    assert worst.width > max(line.width for line in (first, *others, training))
    assert len(others) == 4 and "Further attacks stand in the table" in linf.caption
    assert worst.steps.tolist() == pytest.approx([0, 4, 8, 16, 32])
    assert (linf.across, linf.unit) == ("epsilon (/255)", "accuracy (%)")
    assert in_scales(32 / 255) in linf.caption
    for line, rates in (
        (worst, [told["clean"], *(each["accuracy"] for each in told["worst"][:4])]),
        (first, [told["clean"], *(each["accuracy"] for each in told["attacks"][:4])]),
        (training, [told["train_clean"], *(each["accuracy"] for each in told["train_attacked"])]),
    ):
        assert line.values[:, 0].tolist() == pytest.approx([100 * each["value"] for each in rates])
        assert line.band is not None
        assert line.band.ravel().tolist() == pytest.approx([100 * end for each in rates for end in each["interval"]])
    assert [line.label for line in l2.lines] == ["worst case", "PGD-20 (L2)"]


def test_a_band_is_drawn_where_its_interval_is() -> None:
    steps, values = np.array([0.0, 1.0]), np.array([[50.0], [50.0]])
    plain = Line("a", steps, values, "#000000")
    banded = Line("a", steps, values, "#000000", band=np.array([[40.0, 60.0], [40.0, 60.0]]))
    drawn = [Chart("k", "t", "", "u", (line,), limits=(0.0, 100.0)).svg() for line in (plain, banded)]
    assert ["opacity: 0.1" in svg for svg in drawn] == [False, True]


def test_what_is_flagged_has_no_headline_whatever_the_file_says(run: RunFolder) -> None:
    told = flagged()
    assert told["headline"] is not None
    page = Page(report_run(evaluated(run, told)))
    text = page.text.split("How robust it is")[1]
    assert told["headline"]["text"] not in page.source
    assert part_of(run).subject.may_lead is None
    assert "Flagged: the numbers below do not stand as its robustness. 1 check failed:" in text
    assert told["flags"][0] in text and "✗ fails" in text
    assert text.index("Flagged") < text.index("clean accuracy")
    assert "Accuracy under attack, L-infinity (flagged)" in text
    assert len(page.classed("verdict")) == 1  # the game's own
    unflagged = Page(report_run(evaluated(run, told | {"flags": []})))
    assert told["headline"]["text"] not in unflagged.source  # the battery alone is enough
    assert "Flagged" in unflagged.text


def test_numbers_without_a_battery_lead_nothing(run: RunFolder) -> None:
    page = Page(report_card(evaluated(run, subject(battery=[], headline=None)).path))
    assert "No headline." in page.text
    assert "Can the numbers be believed?" not in page.text


def test_examples_are_those_of_the_file_with_errors_marked(run: RunFolder) -> None:
    told = subject()
    part = part_of(evaluated(run, told))
    with np.load(run.path / "robustness.npz") as file:
        arrays = {name: file[f"0/{name}"] for name in ("clean", "adversarial", "perturbation", "predicted")}
    assert len(part.exhibits) == 2
    for block, exhibit in enumerate(part.exhibits):
        shown = (arrays["clean"], arrays["adversarial"], arrays["perturbation"].astype(int) + 128)
        for strip, images in zip(exhibit.strips, shown, strict=True):
            drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(strip.image.split(",")[1]))))
            tiles = drawn.reshape(66, TILES, 66).transpose(1, 0, 2)[:, 1:-1, 1:-1]
            assert np.array_equal(tiles[:, ::8, ::8], images[block, :TILES, 0])
        clean, adversarial, difference = exhibit.strips
        assert adversarial.notes == tuple(map(str, arrays["predicted"][block, :TILES]))
        assert (clean.wrong, adversarial.wrong, difference.notes) == (frozenset(), frozenset({1, 3, 5}), ())
    linf, l2 = part.exhibits
    assert linf.title == f"PGD-20 x 2, epsilon {in_scales(32 / 255)}"
    assert "Difference, 4 times as large" in linf.caption and "white +epsilon" in linf.caption
    assert "Difference, 0.5 times as large" in l2.caption and "255/255" in l2.caption
    assert len(Page(report_card(run.path)).classed("wrong")) == 2 * 3


def test_images_too_long_for_a_row_err_only_where_they_are_shown(run: RunFolder) -> None:
    evaluated(run, subject())
    blocks = {f"0/{name}": array for name, array in images((32 / 255, 1.0)).items()}
    blocks["0/predicted"] = blocks["0/labels"].copy()
    blocks["0/predicted"][:, TILES:] += 1
    np.savez(run.path / "robustness.npz", **blocks)
    assert [exhibit.strips[1].wrong for exhibit in part_of(run).exhibits] == [frozenset()] * 2


def test_several_subjects_stand_one_after_the_other(run: RunFolder) -> None:
    subjects = subject(), flagged("source head", classes=["generated", "real"]), subject("both")
    page = Page(report_card(evaluated(run, *subjects).path))
    text = page.text.split("How robust it is")[1]
    places = [text.index(each["trained_against"], 10) for each in subjects]
    assert places and [found["class"] for found in page.classed("subject")] == ["subject"] * 3
    assert text.count("No headline.") == 0
    assert text.count("Flagged") == 1
    ids = [found["id"] for _, found in page.tags if found.get("id")]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "missing",
    ["samples", "evaluated_on", "classes", "trained_against", "clean", "train_clean", "train_attacked", "epsilons",
     "attacks", "worst", "battery", "flags", "headline", "examples", "transfer"],
)  # fmt: skip
def test_a_subject_without_a_part_is_shown_without_it(run: RunFolder, missing: str) -> None:
    told = subject()
    evaluated(run, told)
    left = {name: value for name, value in told.items() if name != missing}
    (run.path / "robustness.json").write_text(json.dumps({"subjects": [left]}))
    page = Page(report_card(run.path))
    assert "How robust it is" in page.text and "damaged" not in page.text


def test_a_subject_with_nothing_but_its_name_has_a_page(run: RunFolder) -> None:
    (run.path / "robustness.json").write_text('{"subjects": [{"subject": "classifier"}]}')
    assert "No headline." in Page(report_run(run)).text
    assert "No headline." in Page(report_runs([run], run.path / "all.html", title="t")).text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"subjects": 3}',
        b'{"subjects": null}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"subjects": [{"subject": "a", "clean": {"value": NaN}}]}',
    ],
)
def test_a_damaged_file_is_a_note(run: RunFolder, content: bytes) -> None:
    (run.path / "robustness.json").write_bytes(content)
    for page in (Page(report_run(run)), Page(report_runs([run], run.path / "all.html", title="t"))):
        assert "robustness.json is damaged" in page.text
        assert "1 of 1 game" in page.text


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"clean": {"value": 1.5}}, "clean.value"),
        ({"worst": [{"epsilon": -1, "accuracy": {"value": 0.5}}]}, "worst.0.epsilon"),
        ({"attacks": [{"name": 3}]}, "attacks.0.epsilon"),
        ({"transfer": {"sources": ["a"], "targets": ["b"], "accuracy": [[0.5, 0.5]]}}, "transfer"),
    ],
)
def test_a_damaged_subject_is_a_note_beside_the_others(run: RunFolder, change: dict[str, Any], place: str) -> None:
    page = Page(report_card(evaluated(run, subject(**change), subject("both")).path))
    assert f"robustness.json, subject 0: cannot be read at {place} " in page.text
    assert len(page.classed("subject")) == 1
    assert len(page.classed("exhibit")) == 2  # the arrays of the sound subject keep their index


@pytest.mark.parametrize("damage", ["gone", "cut", "ragged", "renamed", "float labels"])
def test_damaged_arrays_are_a_note(run: RunFolder, damage: str) -> None:
    path = evaluated(run, subject()).path / "robustness.npz"
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    changed: dict[str, Any] = {
        "ragged": arrays | {"0/predicted": arrays["0/predicted"][:, 1:]},
        "renamed": {name.replace("perturbation", "moved"): array for name, array in arrays.items()},
        "float labels": arrays | {"0/labels": np.full(arrays["0/labels"].shape, np.nan)},
    }
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:300])
    else:
        np.savez(path, **changed[damage])
    page = Page(report_card(run.path))
    assert "robustness.npz is missing or damaged" in page.text
    assert "Every attack" in page.text


def test_a_stranger_s_text_stays_text(tmp_path: Path) -> None:
    pages = []
    for text in (HOSTILE, HARMLESS):
        told = subject(
            text, evaluated_on=text, classes=[text] * 10, trained_against=text, headline={"text": text},
            battery=[{"check": text, "holds": True, "detail": text}], examples=[{"epsilon": 0.5, "attack": text}],
            attacks=[attack(text, text, text, 0.5, 0.4) | {"scales": text}],
            transfer={"sources": [text], "targets": [text], "accuracy": [[0.5]], "scales": text, "attack": text},
        )  # fmt: skip
        bad = flagged(text, flags=[text])
        run = evaluated(played(tmp_path / str(len(pages)) / "run", [], wins=1, games=1), told, bad)
        pages.append((Page(report_run(run)), Page(report_runs([run], tmp_path / "all.html", title="t"))))
    for hostile, harmless in zip(*pages, strict=True):
        assert hostile.structure == harmless.structure
        assert hostile.scripts == harmless.scripts
        assert hostile.text.count(HOSTILE) > 15


def test_class_names_are_escaped_below_images(run: RunFolder) -> None:
    page = Page(report_card(evaluated(run, subject(classes=["<b>", *"123456789"])).path))
    assert ">&lt;b&gt;</span>" in page.source and not page.named("b")


def test_runs_stand_side_by_side(tmp_path: Path) -> None:
    names = ("plain", "robust", "broken", "never")
    runs = [played(tmp_path / name, [f"seed={index}"], wins=1, games=1) for index, name in enumerate(names)]
    told = subject(strength=60.0), subject(), flagged(strength=3.0)
    for run, each in zip(runs, told, strict=False):
        evaluated(run, each)
    (side,) = sides([read_card(run.path) for run in runs])
    assert side.norms == (
        ("L-infinity", ("4/255", "8/255", "16/255", "32/255")),
        ("L2", ("63.8/255", "128/255", "255/255")),
    )
    assert [(line.index, line.doubts) for line in side.lines] == [(1, 0), (2, 0), (3, 1)]
    for line, each in zip(side.lines, told, strict=True):
        assert [(found.value, found.interval) for found in line.accuracies] == [
            percents(each["clean"]), *(percents(worst["accuracy"]) for worst in each["worst"])
        ]  # fmt: skip
    linf, _l2 = side.charts
    assert [line.label for line in linf.lines] == ["run 1", "run 2", "run 3 (flagged)"]
    assert [line.width for line in linf.lines] == [2.0, 2.0, 1.0]
    assert linf.lines[1].values[2, 0] == pytest.approx(100 * told[1]["worst"][1]["accuracy"]["value"])
    page = Page(report_runs(runs, tmp_path / "all.html", title="four"))
    text = page.text.split("How robust they are")[1].split("What the generators make")[0]
    assert "✗ flagged" in text and text.count("✓ holds") == 2 and "never" not in text
    assert told[2]["headline"]["text"] not in page.source
    assert page.text.count("Every attack") == 3


def test_unlike_tasks_and_sizes_share_no_chart(tmp_path: Path) -> None:
    runs = [played(tmp_path / name, [], wins=1, games=1) for name in ("a", "b")]
    few = [each for each in subject()["worst"] if each["epsilon"] < 0.1 and each["norm"] == "L-infinity"]
    evaluated(runs[0], subject(), subject("source head"))
    evaluated(runs[1], subject("classifier", worst=few))
    classes, source = sides([read_card(run.path) for run in runs])
    assert (classes.task, source.task) == ("classes", "real or generated")
    assert [len(side.lines) for side in (classes, source)] == [2, 1]
    assert [found.value for found in classes.lines[1].accuracies].count("–") == 4
    keys = [chart.key for side in (classes, source) for chart in side.charts]
    assert len(keys) == len(set(keys)) == 4


def test_runs_without_an_evaluation_have_no_section(run: RunFolder) -> None:
    assert "robust" not in Page(report_run(run)).text
    assert "robust" not in Page(report_runs([run], run.path / "all.html", title="t")).text


def test_long_names_keep_both_ends() -> None:
    assert short("short", 24) == "short"
    assert short("x" * 20 + "the end of it", 12) == "xxxxxx…of it"
    assert len(short("y" * 100, 24)) == 24


def test_an_evaluation_without_a_run_has_a_page(run: RunFolder, tmp_path: Path) -> None:
    told = subject("models:resnet", trained_against=None, remarks=["steps too few"])
    evaluated(run, told)
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("robustness.json", "robustness.npz"):
        (run.path / name).rename(folder / name)
    content = json.loads((folder / "robustness.json").read_text())
    (folder / "robustness.json").write_text(
        json.dumps(content | {"step": None, "problems": ["a checkpoint was damaged"]})
    )
    page = Page(report_card(folder))
    for text in ("models:resnet", "trained without an attack", "steps too few", "a checkpoint was damaged"):
        assert text in page.text
    assert told["headline"]["text"] in page.text and "after round" not in page.text
    assert len(page.classed("exhibit")) == 2
    with pytest.raises(UsageError, match=r"no robustness\.json"):
        report_card(run.path)
