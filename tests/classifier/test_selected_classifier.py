"""The choice of a run's classifier on a validation split, and the alarm of catastrophic overfitting."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from robust_classifiers import CPU, robust_recipe, robust_state
from sparring.attacks import PGD, Threat, fool
from sparring.classifier.load import load_classifier, load_final_classifier
from sparring.classifier.state import ClassifierState
from sparring.classifier.step import train_step
from sparring.core.errors import UsageError
from sparring.core.process import Progress
from sparring.core.randomness import Rng, Streams
from sparring.core.records import InvalidRecord
from sparring.data import Digits, Ring, prepare
from sparring.data.store import Store
from sparring.evaluation.evaluate import evaluate
from sparring.export.from_run import chosen_network
from sparring.monitoring import classifier_metrics
from sparring.monitoring.alarms import AlarmMonitor
from sparring.robustness.load import OpenedTargets, RobustnessOptions, open_targets
from sparring.runs.folder import RunFolder
from sparring.training.lengthen import lengthen
from sparring.training.load import load_training
from sparring.training.loop import resume, train
from sparring.training.task import ClassifierTask

SELECTION = "selection={every: 3, samples: 100, attack_steps: 2}"


def rows_of(samples: torch.Tensor) -> set[bytes]:
    return {sample.numpy().tobytes() for sample in samples}


@pytest.mark.parametrize("kind", ["digits", "store"])
def test_validation_samples_are_part_of_neither_training_nor_test(kind: str, tmp_path: Path) -> None:
    if kind == "store":
        prepare("digits", tmp_path / "store")
    source = (Digits() if kind == "digits" else Store(path=str(tmp_path / "store"))).open(CPU)
    training, validation = source.split(200)
    whole, test = source.batch(0, 1437, Streams(0)).samples, source.held_out(10_000, rng=Rng.of(0)).samples
    kept = training.batch(0, 1237, Streams(3)).samples
    assert (training.facts.count, len(validation.samples)) == (1237, 200)
    assert not rows_of(validation.samples) & (rows_of(kept) | rows_of(test))
    assert rows_of(kept) | rows_of(validation.samples) == rows_of(whole)
    for seen in (training.unaugmented().batch(0, 1237, Streams(0)).samples, *training.training_parts(300)):
        assert not rows_of(seen) & rows_of(validation.samples)
    assert torch.equal(source.split(200)[1].samples, validation.samples)  # the same for every seed
    with pytest.raises(UsageError, match="leave too few"):
        source.split(1000)


def test_endless_data_have_validation_samples_of_their_own() -> None:
    source = Ring().open(CPU)
    training, validation = source.split(50)
    assert training is source
    assert not rows_of(validation.samples) & rows_of(source.batch(0, 500, Streams(0)).samples)


def test_the_selected_classifier_is_the_best_of_its_measurements() -> None:
    state = robust_state(SELECTION, "optimizer.lr=0.3", "ema=0.5")
    selected, best = state.selected, (0.0, 0)
    assert selected is not None
    x, y = selected._validation
    assert y is not None
    for step in range(12):
        train_step(state, step)
        done = step + 1
        if done % 3 == 0:
            threat = Threat(name="PGD", kind="white-box", attack=PGD(epsilon=0.1, steps=2))
            state.evaluated.eval()
            found = fool(
                threat,
                state.classify_evaluated,
                x,
                y,
                network=state.evaluated,
                space=state.space,
                rng=Streams(0).rng("selection", done),
            )
            accuracy = 1 - found.fooled.double().mean().item()
            if accuracy >= best[0]:
                best, weights = (accuracy, done), {k: v.clone() for k, v in state.evaluated.state_dict().items()}
            assert (selected.numbers["accuracy"], selected.numbers["round"]) == best
            assert selected.numbers["latest"] == accuracy
            assert state.log.means()["robust_accuracy_validation"] == pytest.approx(accuracy)
    assert 0 < best[0] < 1
    assert all(torch.equal(value, selected.network.state_dict()[name]) for name, value in weights.items())


class _Killed(Progress):
    def advance(self, done: int, total: int) -> None:
        if done == 7:
            raise RuntimeError("killed")


def test_a_run_reports_both_and_is_used_at_its_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier_metrics, "main_attack", lambda trained: PGD(epsilon=0.1, steps=1))
    # The rate explodes in the end, so that the best weights are not the last ones.
    fall = "optimizer={name: sgd, lr: 3, schedule: {name: one_cycle, peak: 0.95, start: 0}}"
    recipe = robust_recipe(SELECTION, fall, "evaluate_every=6")
    summary = train(recipe, tmp_path / "run", device="cpu")
    run = RunFolder.open(tmp_path / "run")
    loaded = load_classifier(run, "cpu")
    assert loaded.step <= 6
    best, last = (summary.metrics[f"robust_accuracy_test{suffix}"] for suffix in ("_best", ""))
    assert best.value != last.value
    assert f"at round {loaded.step}, chosen by PGD-2 at epsilon" in best.protocol
    assert "100 validation samples, which are part of neither training nor test" in best.protocol
    assert evaluate(run.path, samples=1000, device="cpu").metrics["accuracy_test"].value == pytest.approx(
        summary.metrics["accuracy_test_best"].value
    )
    assert loaded.data().facts.count == 1337
    assert_both_can_be_attacked(run, best.value, last.value)
    with pytest.raises(RuntimeError, match="killed"):
        train(recipe, tmp_path / "stopped", device="cpu", progress=_Killed())
    resume(tmp_path / "stopped", device="cpu")
    tensors = "checkpoints/000000012/tensors.safetensors"
    assert (tmp_path / "stopped" / tensors).read_bytes() == (tmp_path / "run" / tensors).read_bytes()
    state = load_training(run, "cpu").state
    assert isinstance(state, ClassifierState)
    assert state.selected is not None
    assert run.rows()[-1]["collapse_robust_drop"] == pytest.approx(state.selected.drop)
    assert state.selected.drop > 0, "it fell after its best"


def assert_both_can_be_attacked(run: RunFolder, best: float, last: float) -> None:
    """`robustness` has the accuracies of the summary, of either classifier alone or of both."""

    def targets(checkpoint: str) -> OpenedTargets:
        return open_targets(run.path, RobustnessOptions.validated({"checkpoint": checkpoint, "samples": 1000}, "", ""))

    both = targets("both")
    assert [target.name for target in both.targets] == ["classifier", "final classifier"]
    assert "after the last round, 12, whichever the run chose" in both.targets[1].remarks[0]
    assert (targets("best").step, both.step, targets("final").step) == (both.step, both.step, 12)
    assert [target.name for target in targets("final").targets] == ["final classifier"]
    for target, reported in zip(both.targets, (best, last), strict=True):
        kept = fool(
            Threat(name="PGD", kind="white-box", attack=PGD(epsilon=0.1, steps=1)),
            target.logits,
            target.samples[:],
            target.labels,
            network=target.network,
            space=target.space,
            rng=Rng.of(0),
        )
        assert 1 - float(kept.fooled.double().mean()) == pytest.approx(reported, abs=0.03)  # other random starts


def test_a_choice_of_nothing_is_refused(tmp_path: Path) -> None:
    train(robust_recipe("steps=1"), tmp_path / "run", device="cpu")
    with pytest.raises(UsageError, match=r"checkpoint = final: .* chooses no classifier"):
        open_targets(tmp_path / "run", RobustnessOptions(checkpoint="final"))
    with pytest.raises(InvalidRecord, match="checkpoint = 'last'"):
        RobustnessOptions.validated({"checkpoint": "last"}, "", "")


def test_before_the_first_measurement_none_is_selected(tmp_path: Path) -> None:
    train(robust_recipe("steps=1"), tmp_path / "start", device="cpu")
    task = ClassifierTask(robust_state(SELECTION, f"start.run={tmp_path / 'start'}"))
    selected = task.classifier.selected
    assert selected is not None
    for name, value in load_classifier(RunFolder.open(tmp_path / "start"), "cpu").network.state_dict().items():
        assert torch.equal(selected.network.state_dict()[name], value), name
    metrics = task.metrics([{"step": 1, **task.measure(1)}], complete=False)
    assert "robust_accuracy_test" in metrics
    assert not [name for name in metrics if name.endswith("_best")]


def test_a_run_that_has_not_measured_is_used_as_it_is(tmp_path: Path) -> None:
    """Its weights after the last round of the checkpoint, never those that it was initialised with."""
    recipe = robust_recipe("selection={every: 10, samples: 100, attack_steps: 1}", "ema=0.5")
    with pytest.raises(RuntimeError, match="killed"):
        train(recipe, tmp_path / "run", device="cpu", progress=_Killed())
    run = RunFolder.open(tmp_path / "run")
    loaded, final = load_classifier(run, "cpu"), load_final_classifier(run, "cpu")
    assert (loaded.step, loaded.weights) == (4, "average")
    assert loaded.problems == ("no classifier is selected before round 10; that of round 4 is used",)
    for name, value in final.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], value), name
    config = chosen_network(run).config
    assert "best" not in config.weights and "after round 4" in config.weights


def test_runs_that_may_have_seen_the_validation_samples_are_said(tmp_path: Path) -> None:
    train(robust_recipe("steps=1"), tmp_path / "start", device="cpu")
    for override, seen in ((f"start.run={tmp_path / 'start'}", True), ("ema=0.5", False)):
        selected = robust_state(SELECTION, override).selected
        assert selected is not None
        assert selected.protocol.endswith("runs that the recipe names may have been trained on them") is seen


def test_a_sudden_fall_of_the_robust_accuracy_raises_an_alarm() -> None:
    recipe = robust_recipe(SELECTION)
    healthy = [{"step": step, "collapse_predicted": 9.0, "collapse_robust_drop": 0.08} for step in range(1, 6)]
    fallen = [row | {"step": row["step"] + 5, "collapse_robust_drop": 0.45} for row in healthy[:2]]
    monitor = AlarmMonitor(recipe, healthy)
    assert not monitor.alarms()
    lines = [line for row in fallen for line in monitor.add(row)]
    assert "fallen by more than 20 points from its best; the run's classifier is from before the fall" in lines[0]
    assert "smaller or more attack steps" in lines[1]
    assert [alarm.kind for alarm in monitor.alarms()] == ["catastrophic overfitting"]


def test_one_bad_measurement_is_no_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    state = robust_state(SELECTION)
    selected = state.selected
    assert selected is not None
    drops = []
    for done, share in enumerate((0.8, 0.3, 0.7, 0.3, 0.4, 0.9), 1):
        monkeypatch.setattr(selected, "_fooled", lambda *_, share=share: torch.arange(10) >= 10 * share)
        selected.consider(state.network, state.classify, done)
        drops.append(selected.drop)
    assert drops == pytest.approx([0, 0, 0.1, 0.1, 0.4, 0])


def test_a_longer_run_says_what_its_first_length_decided(tmp_path: Path) -> None:
    awp = "weight_perturbation={name: awp, start: 0.5}"
    for name, overrides, words in (
        ("both", ["selection={every: 3, samples: 20, attack_steps: 1}", awp], "weight_perturbation and selection"),
        ("neither", ["selection={every: 2, samples: 20, attack_steps: 1}"], ""),
    ):
        train(robust_recipe("steps=4", *overrides), tmp_path / name, device="cpu")
        remark = lengthen(tmp_path / name, "steps=8")
        assert remark.startswith(words)
        assert bool(remark) == bool(words)
