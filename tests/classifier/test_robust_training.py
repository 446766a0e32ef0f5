"""Robust training beyond adversarial cross-entropy: whole rounds against their algorithms by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from robust_classifiers import robust_recipe, robust_state
from sparring.classifier.load import load_classifier
from sparring.classifier.state import ClassifierState
from sparring.classifier.step import train_step
from sparring.core.process import Progress
from sparring.core.randomness import Rng, Streams
from sparring.core.records import InvalidRecord
from sparring.data import Batch, Source
from sparring.runs.folder import RunFolder
from sparring.training.load import load_training
from sparring.training.loop import resume, train


def kl(p: Tensor, q: Tensor) -> Tensor:
    """Rounded as the library rounds it: steps along a sign tell slopes of 1e-9 and -1e-9 apart."""
    logs, others = p.log_softmax(-1), q.log_softmax(-1)
    return (logs.exp() * (logs - others)).sum(-1)


def descend(network: torch.nn.Module, loss: Tensor) -> None:
    """One step of SGD at 0.05."""
    loss.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(parameter.grad, alpha=-0.05)  # type: ignore[arg-type]
            parameter.grad = None


class _InDouble(Source):
    """A source whose samples are fp64."""

    def __init__(self, source: Source) -> None:
        self._source, self.facts = source, source.facts

    def batch(self, number: int, size: int, streams: Streams) -> Batch:
        samples, labels = self._source.batch(number, size, streams)
        return Batch(samples.double(), labels)

    def held_out(self, count: int, *, rng: Rng) -> Batch:
        return self._source.held_out(count, rng=rng)


class _Killed(Progress):
    """Dies after seven rounds; nothing is saved on the way out."""

    def advance(self, done: int, total: int) -> None:
        if done == 7:
            raise RuntimeError("killed")


def test_a_round_of_trades_is_algorithm_1() -> None:
    """The start at 0.001 N(0, 1), steps up KL(f(x) || f(x')) in eval mode, then the loss on x and x' in training."""
    attack = "attack={name: pgd, epsilon: 0.1, steps: 3, step_size: 0.04, start: {name: gaussian, share: 0.01}}"
    state = robust_state("loss={name: trades, beta: 2}", attack, "seed=5")
    streams, network = Streams(5), state.recipe.classifier.build(state.space, (), rng=Streams(5).rng("init/classifier"))
    for step in range(4):
        x, y = state.source.batch(step, 16, streams)
        train_step(state, step)
        moved = (x + 2 * 0.001 * streams.rng("attack/real", step).normal(x.shape)).clamp(-1, 1)
        network.eval()
        target = network(x).detach()
        for _ in range(3):
            leaf = moved.clone().requires_grad_()
            (slope,) = torch.autograd.grad(kl(target, network(leaf)).sum(), leaf)
            moved = ((moved + 2 * 0.04 * slope.sign() - x).clamp(-0.2, 0.2) + x).clamp(-1, 1)
        network.train()
        clean = network(x)
        losses = F.cross_entropy(clean, y, reduction="none") + 2 * kl(clean, network(moved))  # type: ignore[arg-type]
        descend(network, losses.mean())
    for name, value in network.state_dict().items():
        assert torch.equal(state.network.state_dict()[name], value), name


def test_trades_refuses_an_attack_that_starts_where_the_divergence_is_flat() -> None:
    with pytest.raises(InvalidRecord, match=r"loss = trades: .* set attack.start=random"):
        robust_recipe("loss=trades")
    with pytest.raises(InvalidRecord, match=r"loss = trades: .* and criterion = margin"):
        robust_recipe("loss=trades", "attack.start=random", "criterion=margin")
    robust_recipe("loss=trades", "attack=none")


def test_free_training_is_algorithm_1_over_ten_rounds() -> None:
    """Each batch four times; the update's own gradient moves the perturbation, which the next batch inherits."""
    state = robust_state("free.replays=4", "attack.epsilon=0.1", "attack.step_size=0.06")
    network = state.recipe.classifier.build(state.space, (), rng=Streams(0).rng("init/classifier"))
    delta = torch.zeros(16, *state.space.shape)
    for step in range(10):
        train_step(state, step)
        x, y = state.source.batch(step // 4, 16, state.streams)
        leaf = (x + delta).clamp(-1, 1).requires_grad_()
        descend(network, F.cross_entropy(network(leaf), y))  # type: ignore[arg-type]
        assert leaf.grad is not None
        delta = (delta + 2 * 0.06 * leaf.grad.sign()).clamp(-0.2, 0.2)
    assert delta.abs().max() == pytest.approx(0.2)
    for name, value in network.state_dict().items():
        assert torch.equal(state.network.state_dict()[name], value), name
    assert torch.equal(state.state()["kept/real"], delta)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("attack=pgd", "attack = pgd needs more than the gradient of the update"),
        ("attack=none", "attack = none needs more"),
        ("criterion=margin", "criterion = margin"),
        ("weight_perturbation=awp", "weight_perturbation = awp takes the gradient elsewhere"),
        ("loss=trades", "loss = trades is not what its attack ascends"),
        ("loss=mart", "loss = mart is not what its attack ascends"),
        ("loss=local_lipschitz", "loss = local_lipschitz is not what its attack ascends"),
    ],
)
def test_free_training_refuses_what_it_has_no_gradient_for(override: str, words: str) -> None:
    with pytest.raises(InvalidRecord, match=rf"free = replays 8: {words}"):
        robust_recipe("free={}", override)


def test_awp_is_its_equations() -> None:
    """v_l = gamma ||w_l|| g_l / ||g_l|| in fp64 for a linear classifier, whose gradient has a closed form."""
    state = robust_state(
        "classifier={name: branch, discriminator: {name: mlp, hidden: []}}",
        "weight_perturbation={name: awp, gamma: 0.1}",
        "attack=none",
    )
    state.network.double()
    state.source = _InDouble(state.source)
    weight, bias = (parameter.detach().clone() for parameter in state.network.parameters())

    def gradient(w: Tensor, b: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        errors = ((x @ w + b).softmax(-1) - torch.eye(10, dtype=torch.float64)[y]) / len(x)
        return x.T @ errors, errors.sum(0)

    for step in range(3):
        (batch,) = state.batches(step)
        x, y = batch.samples.flatten(1), batch.labels
        train_step(state, step)
        ascent, _ = gradient(weight, bias, x, y)
        worse = weight + 0.1 * weight.norm() * ascent / ascent.norm()
        down, across = gradient(worse, bias, x, y)
        weight, bias = weight - 0.05 * down, bias - 0.05 * across
    for found, expected in zip(state.network.parameters(), (weight, bias), strict=True):
        torch.testing.assert_close(found.detach(), expected, rtol=1e-10, atol=1e-13)
    assert len(state.log.means()) == 6  # the first pass is not in the log


def test_awp_waits_for_its_start_and_attacks_at_the_weights() -> None:
    plain, late, early = (
        robust_state(*keys)
        for keys in (
            [],
            ["weight_perturbation={name: awp, start: 0.5}"],
            ["weight_perturbation=awp"],
        )
    )
    for step in range(6):
        for state in (plain, late, early):
            train_step(state, step)
        if step == 0:  # the attack comes before the perturbation of the weights
            assert plain.log.means()["attack_real_size"] == early.log.means()["attack_real_size"]
    states = [state.network.state_dict() for state in (plain, late, early)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["output.weight"], states[2]["output.weight"])


def test_the_mean_is_that_of_weights_and_batch_statistics() -> None:
    state = robust_state("ema=0.6")
    expected = {name: value.double() for name, value in state.network.state_dict().items()}
    for step in range(8):
        train_step(state, step)
        decay = min(0.6, (1 + step) / (10 + step))
        for name, value in state.network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value.double()
    found = state.evaluated.state_dict()
    assert state.evaluated is not state.network
    for name, value in expected.items():
        if name.endswith("num_batches_tracked"):
            assert found[name] == 8
        else:
            torch.testing.assert_close(found[name].double(), value, rtol=1e-5, atol=1e-6)
    assert any("running_var" in name for name in expected)
    assert not torch.equal(found["output.weight"], state.network.state_dict()["output.weight"])


def test_what_is_saved_and_measured_is_the_mean(tmp_path: Path) -> None:
    recipe = robust_recipe("ema=0.9", "evaluate_every=12", "steps=12")
    summary = train(recipe, tmp_path / "run", device="cpu")
    loaded = load_classifier(RunFolder.open(tmp_path / "run"), "cpu")
    state = load_training(RunFolder.open(tmp_path / "run"), "cpu").state
    assert isinstance(state, ClassifierState)
    for name, value in loaded.network.state_dict().items():
        assert torch.equal(value, state.evaluated.state_dict()[name])
    x, y = state.source.held_out(1000, rng=Rng.of(0))
    with torch.no_grad():
        assert summary.metrics["accuracy_test"].value == pytest.approx(
            (loaded.classify(x).argmax(-1) == y).double().mean().item()
        )


def test_everything_resumes_to_the_bit(tmp_path: Path) -> None:
    """Free training with a mean, mixing and smoothed labels, stopped within the replays of a batch."""
    recipe = robust_recipe("free.replays=3", "ema=0.9", "mixing=cutmix", "loss.label_smoothing=0.1")
    train(recipe, tmp_path / "whole", device="cpu")
    with pytest.raises(RuntimeError, match="killed"):
        train(recipe, tmp_path / "stopped", device="cpu", progress=_Killed())
    resume(tmp_path / "stopped", device="cpu")
    tensors = "checkpoints/000000012/tensors.safetensors"
    assert (tmp_path / "stopped" / tensors).read_bytes() == (tmp_path / "whole" / tensors).read_bytes()


def test_the_loss_of_a_mixed_batch_is_that_of_soft_labels() -> None:
    """Cross-entropy is linear in the label: the shares of two losses are the loss of the mixed label."""
    state = robust_state("mixing=cutmix", "loss.label_smoothing=0.1", "attack=none", "seed=3")
    (batch,) = state.batches(0)
    soft = sum(
        (torch.as_tensor(share)[:, None] * torch.eye(10)[labels] for labels, share in batch.targets),
        torch.zeros(16, 10),
    )
    logits = state.classify(batch.samples).detach()
    losses = batch.over_labels(lambda labels: F.cross_entropy(logits, labels, reduction="none", label_smoothing=0.1))
    expected = F.cross_entropy(logits.double(), soft.double(), reduction="none", label_smoothing=0.1)
    torch.testing.assert_close(losses.double(), expected, rtol=1e-5, atol=1e-6)
    assert (soft.amax(-1) < 1).any()
    train_step(state, 0)
    assert state.log.means()["loss"] == pytest.approx(expected.mean().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("overrides", "forwards"),
    [
        (["attack=none"], 1),
        (["attack={name: pgd, epsilon: 0.1, steps: 7}"], 8),
        (["attack={name: pgd, epsilon: 0.1, steps: 1}"], 2),
        (["free={}"], 1),
        (["attack={name: pgd, epsilon: 0.1, steps: 7}", "loss=trades"], 10),
        (["attack={name: pgd, epsilon: 0.1, steps: 7}", "loss=mart"], 9),
        (["attack=none", "loss=local_lipschitz"], 1),
        (["attack={name: pgd, epsilon: 0.1, steps: 7}", "weight_perturbation=awp"], 9),
        (["attack={name: pgd, epsilon: 0.1, steps: 7}", "mixing=cutmix", "loss=trades"], 10),
    ],
)
def test_the_cost_of_a_round_in_forward_passes(overrides: list[str], forwards: int) -> None:
    """As docs/robust.md says."""
    state, calls = robust_state(*overrides), list[int]()
    state.network.register_forward_hook(lambda *_: calls.append(1))
    train_step(state, 0)
    assert len(calls) == forwards
