"""AutoAttack's ensemble: exact on linear networks, no kinder than single attacks, and resumed after a kill."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robust_models import sound
from sparring.attacks import APGD, FAB, Margin, SquareLinf, TargetedDLR, Threat
from sparring.core.errors import UsageError
from sparring.core.files import PREFIX
from sparring.core.process import Progress
from sparring.core.shapes import Space
from sparring.robustness import threat_sets, worst_case
from sparring.robustness.budgets import budgets_of
from sparring.robustness.own_model import LoadedModel, OwnModel
from sparring.robustness.targets import Target
from sparring.robustness.threat_sets import chosen_threats, left_out
from sparring.robustness.trials import Trials, clear
from sparring.robustness.worst_case import robust_accuracy

_OWN = OwnModel(model="module:factory")
NAMES = ["APGD-CE-100", "APGD-T-100", "FAB-T-100", "Square-5000"]


def test_the_set_is_that_of_the_paper_at_every_epsilon() -> None:
    budgets = budgets_of(sound("mlp"), [0.1, 0.2])
    rest = [threat for threat in chosen_threats("autoattack", budgets) if threat.rest_only]
    assert [(threat.name, threat.attack.epsilon) for threat in rest] == [(n, e) for e in (0.1, 0.2) for n in NAMES]
    steps = [threat.attack.model_dump().get("steps") for threat in rest[:4]]
    assert steps == [100, 100, 100, None] and rest[3].attack.model_dump()["queries"] == 5000
    assert [threat.targets for threat in rest[:4]] == [0, 9, 9, 0]


def worst_margins(target: Target, epsilon: float) -> Tensor:
    """The largest margin of any wrong class of a linear network within the budget and the range, exactly.

    max over d of <w_t - w_y, d> = sum_i |w_ti - w_yi| min(2 epsilon, the room of pixel i in the direction of its sign)
    """
    layer = next(each for each in target.network.modules() if isinstance(each, nn.Linear))
    x = target.samples.flatten(1).double()
    weight, bias = layer.weight.double(), layer.bias.double()
    normal = weight[None] - weight[target.labels][:, None]
    room = torch.where(normal > 0, 1 - x[:, None], 1 + x[:, None]).clamp(max=2 * epsilon)
    logits = x @ weight.T + bias
    margins = logits - logits.gather(1, target.labels[:, None]) + (normal.abs() * room).sum(2)
    return margins.scatter(1, target.labels[:, None], -torch.inf).amax(1).detach()


def test_a_linear_network_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threat_sets, "_STEPS", 20)
    monkeypatch.setattr(threat_sets, "_SQUARES", 50)
    monkeypatch.setattr(worst_case, "sanity_checks", lambda *_, **__: [])
    target = sound("linear").first(40)
    epsilons = [0.03, 0.08]
    result = robust_accuracy(target, epsilons=epsilons, threats="autoattack").robustness
    for epsilon, case in zip(epsilons, [w for w in result.worst if w.norm == "L-infinity"], strict=True):
        margins = worst_margins(target, epsilon)
        assert float(margins.abs().min()) > 1e-3, "no sample lies on the boundary"
        assert case.accuracy.value == float((margins < 0).double().mean())
        assert case.attacks == ("PGD-20 x 2", "APGD-CE-20", "APGD-T-20", "FAB-T-20", "Square-50")
    assert result.headline and "not tried" not in result.headline.text
    tried = {(each.name, each.epsilon): each for each in result.attacks}
    assert tried["Square-50", 0.08].accuracy.value <= tried["APGD-CE-20", 0.08].accuracy.value


def test_fab_alone_is_exact_on_a_linear_network() -> None:
    target = sound("linear").first(60)
    fab = Threat(name="FAB", kind="white-box", attack=FAB(epsilon=0.08, steps=10), criterion="margin", targets=9)  # type: ignore[arg-type]
    assert torch.equal(Trials(target, 0).of(fab).correct, worst_margins(target, 0.08) < 0)


def test_standard_says_what_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worst_case, "sanity_checks", lambda *_, **__: [])
    quick = robust_accuracy(sound("mlp").first(40), epsilons=[0.1], threats="fgsm").robustness
    assert quick.headline and "APGD-CE, APGD-T, FAB and Square with 5,000 queries were not tried" in quick.headline.text


def test_attacks_count_by_their_kind_whatever_their_name() -> None:
    image, points = budgets_of(sound("mlp"), [0.1]), replace(budgets_of(sound("mlp"), [0.1]), space=Space((2,), None))
    fab = Threat(name="my own", kind="white-box", attack=FAB(epsilon=0.1), criterion=Margin())
    square, cheap = (
        Threat(name="FAB-T-100", kind="black-box", attack=SquareLinf(epsilon=0.1, queries=queries), criterion=Margin())
        for queries in (5000, 500)
    )
    apgd = [
        Threat(name="1", kind="white-box", attack=APGD(epsilon=0.1)),
        Threat(name="2", kind="white-box", attack=APGD(epsilon=0.1), criterion=TargetedDLR(), targets=9),
    ]
    assert left_out([*apgd, fab, square], image) == left_out([*apgd, fab], points) == ""
    assert left_out([*apgd, fab, cheap], image) == "; Square with 5,000 queries was not tried"
    assert left_out([*apgd, square], image) == "; FAB was not tried"
    assert left_out([apgd[0], square], image) == "; APGD-T and FAB were not tried"


class KilledAfter(Progress):
    """Raises after some batches, as a signal does."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def advance(self, done: int, total: int) -> None:
        if done > self.batches:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("unchecked")
def test_a_killed_evaluation_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "batch_size", 16)
    target = sound("mlp").first(40)
    threats = [each for each in chosen_threats("apgd-ce,fgsm", budgets_of(target, [0.1])) if each.name != "PGD-20 x 2"]
    threats = [replace_rest(each) for each in threats]

    def evaluated(folder: Path | None, progress: Progress) -> dict[str, Any]:
        found = robust_accuracy(target, epsilons=[0.1], threats=threats, folder=folder, progress=progress)
        values = found.robustness.as_json()
        for row in values["attacks"]:
            del row["seconds"]
        return values

    whole = evaluated(None, Progress())
    with pytest.raises(KeyboardInterrupt):
        evaluated(tmp_path / "trials", KilledAfter(4))
    saved = sorted((tmp_path / "trials").iterdir())
    assert len(saved) == 5
    times = [file.stat().st_mtime_ns for file in saved]
    assert json.dumps(evaluated(tmp_path / "trials", Progress())) == json.dumps(whole)
    assert [file.stat().st_mtime_ns for file in saved] == times, "finished batches are not tried again"
    assert len(list((tmp_path / "trials").iterdir())) == 9


def replace_rest(threat: Threat) -> Threat:
    return threat.model_copy(update={"rest_only": True})


def test_saved_trials_are_those_of_this_network(tmp_path: Path) -> None:
    target, threat = sound("mlp").first(16), chosen_threats("fgsm", budgets_of(sound("mlp"), [0.1]))[1]
    first = Trials(target, 0, tmp_path).of(threat)
    assert Trials(target, 0, tmp_path).of(threat).result == first.result, "seconds are those of the first time"
    other = Trials(replace(sound("linear").first(16), name=target.name), 0, tmp_path).of(threat)
    assert len(list(tmp_path.iterdir())) == 2
    assert not torch.equal(first.shown, other.shown)


@pytest.mark.parametrize("changed", ["draws", "attribute", "range"])
def test_saved_trials_are_those_of_all_that_the_logits_depend_on(tmp_path: Path, changed: str) -> None:
    class Scaled(nn.Module):
        """Logits times a number that is in no state."""

        def __init__(self, factor: float) -> None:
            super().__init__()
            self.network, self.factor = sound("mlp").network, factor

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.factor * self.network(x)
            return logits

    target, threat = sound("mlp").first(16), chosen_threats("fgsm", budgets_of(sound("mlp"), [0.1]))[1]
    loaded = LoadedModel(_OWN, target.network, torch.device("cpu"), ())
    ranges = [loaded.of_pixels(_OWN.model_copy(update={"input_range": (low, 1.0)})) for low in (0.0, -1.0)]
    pairs = {
        "draws": (target, replace(target, draws=2)),
        "attribute": (replace(target, network=Scaled(1.0)), replace(target, network=Scaled(3.0))),
        "range": tuple(replace(target, network=network) for network in ranges),
    }
    for each in pairs[changed]:
        Trials(each, 0, tmp_path).of(threat)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_batch_of_which_nothing_is_left_is_not_classified(monkeypatch: pytest.MonkeyPatch) -> None:
    class Viewed(nn.Module):
        """Flattens as many networks do: an empty batch is an error."""

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = network(x.view(x.size(0), -1).view(x.shape))
            return logits

    monkeypatch.setattr(Target, "batch_size", 16)
    network = sound("mlp").network
    target, threat = replace(sound("mlp").first(40), network=Viewed()), replace_rest(fgsm())
    fooled = torch.arange(40) < 20
    assert not Trials(target, 0).of(threat, fooled).correct[:20].any()
    none = Trials(target, 0).of(threat, torch.ones(40, dtype=torch.bool))
    assert none.result.accuracy.value == 0.0 and torch.equal(none.shown, target.samples[:8])


def fgsm() -> Threat:
    return chosen_threats("fgsm", budgets_of(sound("mlp"), [0.1]))[1]


def test_clearing_takes_what_a_kill_left_and_nothing_of_the_users(tmp_path: Path) -> None:
    Trials(sound("mlp").first(16), 0, tmp_path / "trials").of(fgsm())
    (tmp_path / "trials" / f"{PREFIX}1.safetensors-ab").write_bytes(b"half")
    clear(tmp_path / "trials")
    assert not (tmp_path / "trials").exists()
    (tmp_path / "trials").mkdir()
    mine = tmp_path / "trials" / "weights.safetensors"
    mine.write_bytes(b"mine")
    clear(tmp_path / "trials")
    assert mine.read_bytes() == b"mine"


def test_an_epsilon_above_the_range_is_refused_before_anything_is_tried() -> None:
    threat = fgsm().model_copy(update={"attack": FAB(epsilon=8)})
    with pytest.raises(UsageError, match="more than the whole range"):
        chosen_threats([threat], budgets_of(sound("mlp"), [0.1]))


def test_an_unknown_set_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean autoattack"):
        chosen_threats("autoatack", budgets_of(sound("mlp")))
