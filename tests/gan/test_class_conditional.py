"""Class-conditional games: the papers' losses by hand, heads, codes, and what does not fit together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng, Streams
from sparring.core.records import InvalidRecord
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.data import prepare
from sparring.evaluation.samples import write_samples
from sparring.gan.load import load_gan
from sparring.gan.sampling import draw
from sparring.gan.state import GANState
from sparring.gan.step import DiscriminatorTurn, play_round, update_generator
from sparring.monitoring.classifier_metrics import CLASS_HEAD_SAMPLES, ClassHeadMetrics
from sparring.networks import NormalPrior, ProjectionHead, UniformPrior, spread
from sparring.networks.mlp import MLPGenerator
from sparring.recipes import Recipe, load
from sparring.regimes import Replace, View
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

CPU = torch.device("cpu")
SPACE = Space((1, 8, 8), IMAGE_BOUNDS, 10)


def recipe(*overrides: str) -> Recipe:
    """A small class-conditional game on the digits."""
    small = [
        "data=digits",
        "feedback=honest",
        "objective=nonsaturating",
        "class_loss=split",
        "discriminator={name: mlp, hidden: [16, 16], head: auxiliary}",
        "generator={name: mlp, hidden: [16], latent: 6, conditional: true}",
        "lipschitz=none",
        "optimizers.generator={name: sgd, lr: 0.1}",
        "optimizers.discriminator={name: sgd, lr: 0.1}",
        "batch_size=16",
        "replicas=1",
        "steps=6",
        "ema=0",
        "log_every=2",
        "sample_every=0",
        "checkpoint_every=3",
        "evaluate_every=0",
    ]
    return load("dishonest/digits", [*small, *overrides])


def game_of(made: Recipe) -> GANState:
    """A game in memory, in fp64."""
    game = GANState(made, made.data.open(CPU), CPU)
    game.networks.double()
    return game


def cross_entropy_payoff(logits: Tensor, labels: Tensor) -> Tensor:
    return -F.cross_entropy(logits, labels)


WEIGHTS = {
    "none": ((1, 0), (1, 0), (1, 0)),
    "ac": ((1, 1), (1, 1), (1, 1)),
    "split": ((1, 1), (1, 0), (1, 1)),
    "ac_published": ((0.5, 0.5), (0.5, 0.5), (0.5, 0.5)),
    "split_published": ((0.5, 0.5), (1, 0), (0.5, 0.5)),
}
"""Weights of score and class: D on real samples, D on generated ones, G. Equations (8), (9) and the published code."""


@pytest.mark.parametrize("name", WEIGHTS)
def test_one_round_is_that_of_the_papers(name: str) -> None:
    made = recipe(f"class_loss={name}")
    game, twin = game_of(made), game_of(made)
    on_real, on_fake, on_own = WEIGHTS[name]
    batch = game.source.batch(0, 16, game.streams)
    real, labels = batch.samples.double(), batch.labels
    codes = made.generator.draw((16,), SPACE, rng=Rng.of(5))
    assert labels is not None and codes.labels is not None
    fake = game.generator(codes.values.double())

    made.regime.update(DiscriminatorTurn(game, 0, 0, {"real": labels, "fake": codes.labels}), real, fake.detach())
    on_reals, on_fakes = twin.discriminator(real), twin.discriminator(fake.detach())
    value = (
        on_real[0] * F.logsigmoid(on_reals.score).mean()
        + on_real[1] * cross_entropy_payoff(on_reals.classes, labels)
        + on_fake[0] * F.logsigmoid(-on_fakes.score).mean()
        + on_fake[1] * cross_entropy_payoff(on_fakes.classes, codes.labels)
    )
    value.backward()
    for ours, start in zip(game.discriminator.parameters(), twin.discriminator.parameters(), strict=True):
        slope = torch.zeros_like(start) if start.grad is None else start.grad
        torch.testing.assert_close(ours, start + 0.1 * slope, rtol=0, atol=1e-12)

    twin.discriminator.load_state_dict(game.discriminator.state_dict())
    update_generator(game, game.source.batch(0, 16, game.streams)._replace(samples=fake, labels=codes.labels), 0)
    verdict = twin.discriminator(twin.generator(codes.values.double()))
    value = on_own[0] * F.logsigmoid(verdict.score).mean()
    value += on_own[1] * cross_entropy_payoff(verdict.classes, codes.labels)
    slopes = torch.autograd.grad(value, list(twin.generator.parameters()))
    for ours, start, slope in zip(game.generator.parameters(), twin.generator.parameters(), slopes, strict=True):
        torch.testing.assert_close(ours, start + 0.1 * slope, rtol=0, atol=1e-12)


def test_the_attack_of_rob_gan_lowers_score_and_class_together() -> None:
    attack = "{name: pgd, epsilon: 0.1, steps: 1, step_size: 0.1, start: zero}"
    made = recipe(f"regime={{name: replace, attack: {attack}}}", "class_loss=split_published")
    game = game_of(made)
    batch = game.source.batch(0, 16, game.streams)
    real, codes = batch.samples.double(), made.generator.draw((16,), SPACE, rng=Rng.of(5))
    side = DiscriminatorTurn(game, 0, 0, {"real": batch.labels, "fake": codes.labels})
    fake = game.generator(codes.values.double()).detach()
    assert isinstance(made.regime, Replace)
    view = made.regime.craft(side, View(real, fake), None)

    leaf = real.clone().requires_grad_()
    verdict = game.discriminator(leaf)
    assert batch.labels is not None
    joint = 0.5 * F.softplus(-verdict.score).sum() + 0.5 * F.cross_entropy(
        verdict.classes, batch.labels, reduction="sum"
    )
    (slope,) = torch.autograd.grad(joint, leaf)
    torch.testing.assert_close(view.real, (real + 0.2 * slope.sign()).clamp(-1, 1))


def test_projection_adds_the_inner_product_with_the_class() -> None:
    head, features = ProjectionHead().build(6, 4, torch.nn.Linear), Rng.of(0).normal((5, 6))
    labels = torch.tensor([3, 1, 0, 0, 2])
    psi, embedded = head.source(features).squeeze(-1), head.classes.weight[labels]
    score = ProjectionHead().score(head(features), labels)
    torch.testing.assert_close(score, psi + (embedded * features).sum(-1))


@pytest.mark.parametrize("prior", [NormalPrior(), UniformPrior()])
def test_a_code_is_the_latent_and_the_one_hot_class(prior: NormalPrior | UniformPrior) -> None:
    conditional = MLPGenerator(latent=3, prior=prior, conditional=True)
    plain = MLPGenerator(latent=3, prior=prior)
    codes = conditional.draw((2, 400), SPACE, rng=Streams(1, 2).rng("latents"))
    assert codes.labels is not None
    # The class is drawn after the latents: the latents do not depend on it.
    assert torch.equal(codes.values[..., :3], plain.draw((2, 400), SPACE, rng=Streams(1, 2).rng("latents")).values)
    assert torch.equal(codes.values[..., 3:].argmax(-1), codes.labels) and (codes.values[..., 3:].sum(-1) == 1).all()
    assert torch.equal(codes.labels[1], conditional.draw((400,), SPACE, rng=Streams(2).rng("latents")).labels)
    assert torch.bincount(codes.labels.flatten(), minlength=10).min() > 50  # 80 expected, 5 deviations are 42
    wanted = spread(20, 10)
    assert wanted is not None and torch.bincount(wanted).tolist() == [2] * 10 and (wanted.diff() >= 0).all()
    assert torch.equal(conditional.draw((2, 20), SPACE, rng=Rng.of(0), labels=wanted).labels[1], wanted)  # type: ignore[index]


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        (("discriminator.head=source",), r"discriminator\.head = 'source'.*auxiliary"),
        (("discriminator.head=projection",), r"discriminator\.head = 'projection'.*auxiliary"),
        (("generator.conditional=false",), r"generator\.conditional = False.*class_loss = split"),
        (
            ("generator.conditional=false", "class_loss=none", "discriminator.head=projection"),
            r"generator\.conditional.*discriminator\.head = projection",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_its_key(overrides: tuple[str, ...], names: str) -> None:
    with pytest.raises(InvalidRecord, match=names):
        recipe(*overrides)


@pytest.mark.parametrize("keys", [("generator.conditional=true",), ("discriminator.head=auxiliary",)])
def test_classes_need_labels(keys: tuple[str, ...], tmp_path: Path) -> None:
    np.savez(tmp_path / "grey.npz", x_train=np.zeros((4, 1, 8, 8), np.uint8))
    prepare(str(tmp_path / "grey.npz"), tmp_path / "grey")
    plain = ("class_loss=none", "discriminator.head=source", "generator.conditional=false")
    with pytest.raises(UsageError, match=f"{keys[0].partition('=')[0]} needs classes"):
        train(recipe(*plain, *keys, f"data={tmp_path / 'grey'}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_samples_come_class_by_class(tmp_path: Path) -> None:
    train(recipe("replicas=2"), tmp_path / "run")
    write_samples(tmp_path / "run", tmp_path / "drawn.npz", count=20, seed=0)
    with np.load(tmp_path / "drawn.npz") as drawn:
        assert drawn["samples"].shape == (2, 20, 1, 8, 8)
        assert drawn["labels"].tolist() == [sorted([*range(10)] * 2)] * 2
    loaded = load_gan(RunFolder.open(tmp_path / "run"), "cpu")
    assert loaded.networks.space == SPACE
    drawn = draw(loaded, 20, "sample", 0)
    assert drawn.labels is not None and drawn.labels.shape == (2, 20)
    rows = [row for row in RunFolder.open(tmp_path / "run").rows() if "d_real" in row]
    assert all(0 <= share <= 1 for row in rows for side in ("real", "fake") for share in row[f"class_accuracy_{side}"])


def test_the_class_heads_of_packed_games_are_measured_one_by_one() -> None:
    made = recipe("replicas=2", "regime={name: replace, attack: {name: pgd, epsilon: 0.1}}")
    game = GANState(made, made.data.open(CPU), CPU)
    for step in range(20):
        play_round(game, step)
    before = [tensor.clone() for tensor in game.networks.state_dict().values()]
    found = ClassHeadMetrics(game).measure(1)
    assert all(map(torch.equal, before, game.networks.state_dict().values()))
    held_out = game.source.held_out(CLASS_HEAD_SAMPLES, rng=Rng.of(0))
    logits = game.discriminator(held_out.samples.expand(2, *held_out.samples.shape)).classes
    right = (logits.argmax(-1) == held_out.labels).double().mean(-1)
    assert found["accuracy_test"] == pytest.approx(right.tolist()) and right[0] != right[1]
    assert all(a >= b for a, b in zip(found["accuracy_test"], found["robust_accuracy_test"], strict=True))
    for index, slope in enumerate(found["llv_test"]):
        x = held_out.samples.clone().requires_grad_()
        own = game.discriminator(x.expand(2, *x.shape)).classes[index]
        (gradient,) = torch.autograd.grad(F.cross_entropy(own, held_out.labels, reduction="sum"), x)
        assert slope == pytest.approx(gradient.flatten(1).norm(dim=1).mean().item(), rel=1e-4) and slope > 0
    assert set(found) == set(ClassHeadMetrics(game).protocols())
    # The budget is that of D's own attack; without one, 8/255.
    assert "25.5/255" in ClassHeadMetrics(game).protocols()["robust_accuracy_test"]
    plain = GANState(recipe(), made.data.open(CPU), CPU)
    assert "epsilon 8/255" in ClassHeadMetrics(plain).protocols()["robust_accuracy_test"]
