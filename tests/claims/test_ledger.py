"""A claim is played once, continues where it was stopped, and its verdict follows from its cells alone."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from in_process import InProcess
from sparring.claims import plan
from sparring.claims.cells import cells_of_scale
from sparring.claims.claim_schema import Claim, ClaimFile
from sparring.claims.entries import LedgerEntry, compact_json, digest_of, entry_path
from sparring.claims.judgement import judged
from sparring.claims.ledger import check_ledger, read_ledger
from sparring.claims.ledger_page import seconds_of
from sparring.claims.load import all_claims, chosen, parse_claims, read_claims
from sparring.claims.measures.numbers import Final, Reached
from sparring.claims.plan import plan_claims
from sparring.claims.play import PlayOptions, cells_of, play
from sparring.core.errors import Interrupted, NonFinite, UsageError
from sparring.core.records import InvalidRecord
from sparring.training.loop import train

FILE = Path(__file__).parent / "tiny.yaml"
CLAIMS = {f"tiny/{name}": claim for name, claim in read_claims(FILE).claims.items()}
RING = {"tiny/ring": CLAIMS["tiny/ring"]}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in which the claim `ring` has been played."""
    out = tmp_path_factory.mktemp("ledger") / "ledger"
    play(RING, PlayOptions(), out, executor=InProcess())
    return out


@pytest.fixture
def ledger(played: Path, tmp_path: Path) -> Path:
    """A copy of it, without runs."""
    return Path(shutil.copytree(played, tmp_path / "ledger", ignore=shutil.ignore_patterns("runs")))


def _files(ledger: Path) -> dict[str, bytes]:
    return {str(path.relative_to(ledger)): path.read_bytes() for path in sorted(ledger.glob("tiny/*"))}


def _without_times(ledger: Path) -> Any:
    entry = json.loads(entry_path(ledger, "tiny/ring", "small").read_text())
    for cell in entry["cells"]:
        for seed in cell["seeds"].values():
            del seed["seconds"]
            seed.pop("environment", None)
    return {key: value for key, value in entry.items() if key not in ("digest", "environments")}


def test_verdicts_and_values_are_in_the_entry(ledger: Path) -> None:
    entry = LedgerEntry.read(entry_path(ledger, "tiny/ring", "small"))
    assert [statement.verdict for statement in entry.statements] == ["holds", "contradicted"]
    assert entry.verdict == "contradicted"
    assert entry.seeds == (0, 1, 2, 3, 4)
    assert [cell.labels for cell in entry.cells] == [{"objective": "linear"}, {"objective": "cubic"}]
    game = entry.cells[0].seeds[3]
    assert (game.rounds, game.images) == (30, 30 * 16)
    assert check_ledger(ledger, CLAIMS) == []


def test_what_is_played_is_not_played_again(played: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(played, tmp_path / "again"))
    before = _files(out)
    executor = InProcess()
    play(RING, PlayOptions(), out, executor=executor)
    assert executor.started == []
    assert _files(out) == before


def test_a_ledger_without_its_runs_is_enough(ledger: Path) -> None:
    executor = InProcess()
    play({"tiny/shared": CLAIMS["tiny/shared"]}, PlayOptions(), ledger, executor=executor)
    assert executor.started == []  # the cell was measured for another claim
    assert read_ledger(ledger)[entry_path(ledger, "tiny/shared", "small")].verdict == "holds"


def test_other_folders_runs_are_taken_over(played: Path, tmp_path: Path) -> None:
    executor = InProcess()
    play(RING, PlayOptions(runs=(played / "runs",)), tmp_path / "new", executor=executor)
    assert executor.started == []
    assert _files(tmp_path / "new") == _files(played)


def test_a_stopped_claim_ends_with_the_same_ledger(played: Path, tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    broken = InProcess({"0x5": [Interrupted("stopped", "go on", 15)]})
    with pytest.raises(Interrupted):
        play(RING, PlayOptions(), out, executor=broken)
    play(RING, PlayOptions(where={"objective": "cubic"}), out, executor=InProcess())
    play(RING, PlayOptions(), out, executor=InProcess())
    assert _without_times(out) == _without_times(played)


def test_seeds_are_added(ledger: Path) -> None:
    executor = InProcess()
    entries = play(RING, PlayOptions(seeds=(4, 5, 6)), ledger, executor=executor)
    assert executor.started == ["5x2", "5x2"]
    assert entries["tiny/ring"].seeds == (0, 1, 2, 3, 4, 5, 6)


def test_an_entry_has_the_seeds_that_were_asked_of_its_claim(ledger: Path) -> None:
    """Another claim plays more seeds of a cell that both share: the other cells of this claim do not have them."""
    play({"tiny/shared": CLAIMS["tiny/shared"]}, PlayOptions(seeds=(5, 6)), ledger, executor=InProcess())
    assert read_ledger(ledger)[entry_path(ledger, "tiny/shared", "small")].seeds == (5, 6)
    play(RING, PlayOptions(), ledger, executor=InProcess())
    assert check_ledger(ledger, CLAIMS) == []
    entries = play(RING, PlayOptions(seeds=(5,)), ledger, executor=InProcess())
    assert entries["tiny/ring"].seeds == (0, 1, 2, 3, 4, 5)
    assert check_ledger(ledger, CLAIMS) == []


def test_seeds_of_one_claim_need_not_have_the_measures_of_another(ledger: Path) -> None:
    shared = CLAIMS["tiny/shared"]
    other = shared.model_copy(update={"small": shared.small.model_copy(update={"seeds": "0..5"})})
    claims = {"tiny/more": other, **RING}  # `more` has seed 5 of a cell of `ring`, and fewer measures
    executor = InProcess()
    play({"tiny/more": other}, PlayOptions(), ledger, executor=executor)
    assert executor.started == ["5x1"]
    shutil.rmtree(ledger / "runs")
    play(claims, PlayOptions(), ledger, executor=executor)
    assert executor.started == ["5x1"]


def test_a_packed_game_that_diverged_has_failed(played: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(played, tmp_path / "diverged", ignore=shutil.ignore_patterns("tiny")))
    key = cells_of("tiny/ring", RING["tiny/ring"], PlayOptions())[0].key
    summary = out / "runs" / key / "0x5" / "summary.json"
    values = json.loads(summary.read_text())
    values["metrics"]["diverged"] = {"value": [None, None, 20, None, None], "protocol": "round"}
    summary.write_text(json.dumps(values))
    entry = play(RING, PlayOptions(), out, executor=InProcess())["tiny/ring"]
    game = entry.cells[0].seeds[2]
    assert game.failed == "diverged in round 20"
    assert game.values == {"spread": None, "modes": None, "path": None}
    assert [statement.seeds for statement in entry.statements] == [4, 4]
    assert entry.statements[0].reason.endswith("1 of 5 seeds have no number on one side and are left out")
    assert check_ledger(out, CLAIMS) == []


def test_a_failed_game_is_no_success() -> None:
    assert Final(metric="success").of_failed(20) == 0.0
    assert Final(metric="modes").of_failed(20) is None


def test_a_failed_game_is_no_faster_than_one_that_never_arrives() -> None:
    reached = Reached(metric="modes", level=8, better="higher", otherwise=30)
    assert [reached.of_failed(rounds) for rounds in (20, 30, 180)] == [30, 30, 180]
    assert Reached(metric="modes", level=8, better="higher").of_failed(20) is None


def test_too_few_seeds_are_undecided(tmp_path: Path) -> None:
    entries = play(RING, PlayOptions(seeds=(0, 1)), tmp_path / "few", executor=InProcess())
    assert entries["tiny/ring"].verdict == "undecided"
    assert entries["tiny/ring"].statements[0].reason == "2 seeds, and 5 are needed"


def test_a_cell_starts_from_the_game_of_its_own_seed(tmp_path: Path) -> None:
    out = tmp_path / "tuned"
    tuned = {"tiny/tuned": CLAIMS["tiny/tuned"]}
    play(tuned, PlayOptions(seeds=(0, 1)), out, executor=InProcess())
    gan, classifier = cells_of("tiny/tuned", tuned["tiny/tuned"], PlayOptions())
    recipes = [(out / "runs" / classifier.key / f"{seed}x1" / "recipe.yaml").read_text() for seed in (0, 1)]
    for game, text in enumerate(recipes):
        assert text.count(f"{gan.key}/0x2") == 2
        assert text.count(f"game: {game}") == 2


def test_a_game_that_starts_from_a_failed_one_has_failed(tmp_path: Path) -> None:
    out = tmp_path / "tuned"
    tuned = {"tiny/tuned": CLAIMS["tiny/tuned"]}
    executor = InProcess({"0x2": [None]})
    gan, classifier = cells_of("tiny/tuned", tuned["tiny/tuned"], PlayOptions())
    run = out / "runs" / gan.key / "0x2"
    train(gan.source.model_copy(update={"replicas": 2}), run, device="cpu")  # type: ignore[arg-type]
    summary = json.loads((run / "summary.json").read_text())
    summary["metrics"]["diverged"] = {"value": [2, None], "protocol": "round"}
    (run / "summary.json").write_text(json.dumps(summary))
    entry = play(tuned, PlayOptions(seeds=(0, 1)), out, executor=executor)["tiny/tuned"]
    assert executor.started == ["1x1"]
    games = entry.cells[1].seeds
    assert (games[0].failed, games[0].values) == ("robgan/digits diverged in round 2", {"accuracy": None})
    assert (games[1].failed, games[1].rounds) == ("", 2)
    assert not (out / "runs" / classifier.key / "0x1").exists()
    assert check_ledger(out, CLAIMS) == []


def test_numbers_that_are_not_finite_before_a_training_are_an_error(tmp_path: Path) -> None:
    broken = InProcess({"0x5": [NonFinite("not finite: features", "take another extractor")]})
    with pytest.raises(NonFinite, match="features"):
        play(RING, PlayOptions(), tmp_path / "broken", executor=broken)


Edit = Callable[[dict[str, Any]], None]


def _swap_sign(entry: dict[str, Any]) -> None:
    entry["statements"][0]["mean"] *= -1


def _remove_seed(entry: dict[str, Any]) -> None:
    del entry["cells"][0]["seeds"]["3"]


def _edit_value(entry: dict[str, Any]) -> None:
    entry["cells"][1]["seeds"]["2"]["values"]["spread"] += 0.5


def _edit_undrawn_value(entry: dict[str, Any]) -> None:
    entry["cells"][1]["seeds"]["2"]["values"]["modes"] = 7.0


def _shorten(entry: dict[str, Any]) -> None:
    for seed in entry["cells"][0]["seeds"].values():
        seed["rounds"] = 15


def _other_recipe(entry: dict[str, Any]) -> None:
    entry["cells"][0]["key"] = "0123456789abcdef"


def _remove_cell(entry: dict[str, Any]) -> None:
    del entry["cells"][0]


def _repeat_cell(entry: dict[str, Any]) -> None:
    entry["cells"].append(entry["cells"][0])


def _remove_value(entry: dict[str, Any]) -> None:
    del entry["cells"][1]["seeds"]["2"]["values"]["modes"]


def _other_environment(entry: dict[str, Any]) -> None:
    entry["cells"][1]["seeds"]["2"]["environment"] = 7


def _fail(entry: dict[str, Any]) -> None:
    entry["cells"][1]["seeds"]["2"]["failed"] = "non-finite after round 3"


def _false_verdict(entry: dict[str, Any]) -> None:
    entry["verdict"] = "holds"


@pytest.mark.parametrize(
    "edit",
    [_swap_sign, _remove_seed, _edit_value, _edit_undrawn_value, _shorten, _other_recipe, _false_verdict],
)
def test_edited_entries_are_found(ledger: Path, edit: Edit) -> None:
    path = entry_path(ledger, "tiny/ring", "small")
    entry = json.loads(path.read_text())
    edit(entry)
    path.write_text(json.dumps(entry))
    assert check_ledger(ledger, CLAIMS)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (_remove_seed, "its seeds are not those of the other cells"),
        (_shorten, "was not trained for the 30 rounds"),
        (_remove_cell, "a cell of the claim is missing"),
        (_repeat_cell, "a cell of the claim is missing, or one is there twice"),
        (_remove_value, "objective cubic, seed 2: its values are not those of the measures"),
        (_other_environment, "objective cubic, seed 2: its environment is not in the file"),
        (_fail, "objective cubic, seed 2: failed, and has values of a game that did not"),
    ],
)
def test_edits_are_found_where_the_entry_was_judged_anew(ledger: Path, edit: Edit, problem: str) -> None:
    """Digest, verdict and figures are those of the edited cells."""
    path = entry_path(ledger, "tiny/ring", "small")
    values = json.loads(path.read_text())
    edit(values)
    edited, claim = LedgerEntry.model_validate(values), RING["tiny/ring"]
    try:
        judged(edited.name, claim, "small", edited.cells, edited.environments, edited.protocols).save(ledger)
    except UsageError:  # a statement reads the cell that is gone
        edited.model_copy(update={"digest": digest_of(edited.cells)}).save(ledger)
    assert any(problem in each for each in check_ledger(ledger, CLAIMS))


def test_entries_that_disagree_on_a_game_are_found(ledger: Path) -> None:
    shared = CLAIMS["tiny/shared"]
    entry = play({"tiny/shared": shared}, PlayOptions(), ledger, executor=InProcess())["tiny/shared"]
    assert check_ledger(ledger, CLAIMS) == []
    cell = entry.cells[0].model_copy(deep=True)
    cell.seeds[3].values["spread"] = 1.0
    judged(entry.name, shared, "small", (cell,), entry.environments, entry.protocols).save(ledger)
    (problem,) = check_ledger(ledger, CLAIMS)
    assert "seed 3: spread is not that of the same game in" in problem
    assert "not cpu" not in problem
    elsewhere = [each | {"device": "cpu (x86_64, other)"} for each in entry.environments]
    judged(entry.name, shared, "small", (cell,), elsewhere, entry.protocols).save(ledger)
    (problem,) = check_ledger(ledger, CLAIMS)
    assert f": cpu (x86_64, other), not {entry.environments[0]['device']}" in problem


def test_figures_of_no_entry_are_found(ledger: Path) -> None:
    (ledger / "tiny" / "ring-9.svg").write_text("<svg/>")
    assert any("ring-9.svg: is a figure of no entry" in problem for problem in check_ledger(ledger, CLAIMS))


def test_a_run_of_another_recipe_is_refused(played: Path, tmp_path: Path) -> None:
    """Its folder has the key of the cell, as after a change of a default."""
    out = Path(shutil.copytree(played, tmp_path / "other", ignore=shutil.ignore_patterns("tiny")))
    linear, cubic = cells_of("tiny/ring", RING["tiny/ring"], PlayOptions())
    shutil.rmtree(out / "runs" / linear.key)
    shutil.move(out / "runs" / cubic.key, out / "runs" / linear.key)
    with pytest.raises(UsageError, match="its recipe is not that of the cell"):
        play(RING, PlayOptions(), out, executor=InProcess())


def test_the_time_of_a_shared_game_counts_once(ledger: Path) -> None:
    alone = seconds_of(read_ledger(ledger).values())
    play({"tiny/shared": CLAIMS["tiny/shared"]}, PlayOptions(), ledger, executor=InProcess())
    assert len(read_ledger(ledger)) == 2
    assert seconds_of(read_ledger(ledger).values()) == pytest.approx(alone)


def test_lists_are_on_one_line_and_texts_unchanged() -> None:
    values = {"a": ["two  spaces [ here ]", 1.5], "b": [1, 2], "c": "[  d  ]", "e": []}
    text = compact_json(values)
    assert json.loads(text) == values
    assert b"[1, 2]" in text


def test_a_statement_with_its_sides_exchanged_is_found(ledger: Path) -> None:
    text = FILE.read_text()
    exchanged = text.replace("{objective: linear}}\n        right", "{objective: cubic}}\n        right").replace(
        "right: {measure: spread, where: {objective: cubic}}", "right: {measure: spread, where: {objective: linear}}"
    )
    assert exchanged != text
    claims = {f"tiny/{name}": claim for name, claim in parse_claims(exchanged, "tiny.yaml").claims.items()}
    assert any("statements do not follow" in problem for problem in check_ledger(ledger, claims))


def test_unequal_budgets_are_refused() -> None:
    values = RING["tiny/ring"].model_dump(mode="json")
    axes = values["small"]["cells"][0]["axes"]
    cases = {"linear": {"objective": "linear"}, "cubic": {"objective": "cubic", "steps": 60}}
    axes["objective"] = {"cases": cases}
    claim = Claim.model_validate(copy.deepcopy(values))
    with pytest.raises(UsageError, match=r"\[480\] real samples on one side, \[960\] on another"):
        cells_of("tiny/ring", claim, PlayOptions())
    trend = {"name": "trend", "term": {"measure": "spread"}, "along": "objective", "direction": "rises"}
    rising = Claim.model_validate(values | {"statements": [trend]})
    with pytest.raises(UsageError, match=r"\[480\] real samples on one side, \[960\] on another"):
        cells_of("tiny/ring", rising, PlayOptions())
    values["statements"][1]["unequal_budgets"] = "cubic is slower"
    assert len(cells_of("tiny/ring", Claim.model_validate(values), PlayOptions())) == 2


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        (
            "where: {objective: linear}}, bound",
            "where: {objective: lineer}}, bound",
            "statement cannot be judged: no cell",
        ),
        ("objective: [linear, cubic]", "objective: [linear, {name: cubic}]", "neither a number nor a word"),
        ("groups: [tuned]", "groups: [tunde]", "no group of cells is called 'tunde'"),
        ("  shared:", "  sha/red:", "letters, digits, - and _ are meant"),
    ],
)
def test_mistakes_of_a_users_file_are_found_before_anything_is_played(old: str, new: str, cause: str) -> None:
    text = FILE.read_text().replace(old, new)
    with pytest.raises(UsageError, match=cause):
        cells_of("tiny/ring", parse_claims(text, "tiny.yaml").claims["ring"], PlayOptions())


def test_a_claim_is_not_called_like_the_chart_of_another() -> None:
    values = read_claims(FILE).model_dump(mode="json")
    values["claims"]["ring"]["charts"] = [{"name": "bars", "y": "spread", "x": "objective"}] * 2
    values["claims"]["ring-2"] = values["claims"]["shared"]
    with pytest.raises(InvalidRecord, match="claim 'ring-2' has the name of a chart of 'ring'"):
        ClaimFile.validated(values, "tiny.yaml", "")


def test_two_cells_of_the_same_labels_are_refused() -> None:
    scale = CLAIMS["tiny/ring"].small
    twice = scale.model_copy(update={"cells": (*scale.cells, *scale.cells)})
    with pytest.raises(UsageError, match="two cells have the labels objective linear"):
        cells_of_scale(twice, "ring")


@pytest.mark.parametrize("name", ["dishonest.yaml", "runs.yaml", "a.b.yaml"])
def test_a_users_file_takes_no_name_of_the_ledger(name: str, tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path / name)
    with pytest.raises(UsageError, match="is taken or has other signs"):
        all_claims(tmp_path / name)


def test_a_ledger_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is no folder"):
        play(RING, PlayOptions(), tmp_path / "file", executor=InProcess())


def test_a_typo_is_refused_with_the_nearest_name() -> None:
    text = FILE.read_text()
    with pytest.raises(InvalidRecord, match="unknown key; did you mean asserts"):
        parse_claims(text.replace("    asserts: That", "    assert: That"), "tiny.yaml")
    with pytest.raises(InvalidRecord, match="did you mean greater"):
        parse_claims(text.replace("name: greater", "name: graeter"), "tiny.yaml")
    with pytest.raises(InvalidRecord, match="measure 'sprae' is not among"):
        parse_claims(
            text.replace("left: {measure: spread, where: {objective: linear}}, bound", "left: {measure: sprae}, bound"),
            "t",
        )
    with pytest.raises(UsageError, match=r"tiny/rnig: no such claim; did you mean tiny/ring\?"):
        chosen(CLAIMS, ["tiny/rnig"])


def test_equal_recipes_are_one_cell() -> None:
    linear = cells_of_scale(CLAIMS["tiny/ring"].small, "ring")[0]
    (shared,) = cells_of_scale(CLAIMS["tiny/shared"].small, "shared")
    assert shared.key == linear.key
    assert linear.key != cells_of_scale(CLAIMS["tiny/ring"].small, "ring")[1].key


def test_a_plan_counts_and_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "TIMED", 0.0)
    names = ["tiny/ring", "tiny/tuned"]
    wanted = {name: cells_of(name, CLAIMS[name], PlayOptions()) for name in names}
    ring, tuned = plan_claims(wanted, workers=2, device="cpu")
    assert (ring.cells, ring.games, ring.rounds) == (2, 10, 60)
    assert (tuned.cells, tuned.games, tuned.rounds) == (2, 10, 2 + 5 * 2)
    (alone,) = plan_claims({"tiny/tuned": wanted["tiny/tuned"][1:]}, workers=2, device="cpu")
    assert (alone.cells, alone.games, alone.rounds) == (2, 10, 2 + 5 * 2)  # what it starts from is counted
    for each in (ring, tuned):
        assert not each.reason
        assert each.hours is not None and each.hours > 0
        assert each.gigabytes is not None and each.gigabytes > 0
