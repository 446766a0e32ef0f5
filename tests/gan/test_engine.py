"""The round and the trainer: replicas equal single games, non-finite numbers stop, folders stay whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sparring.core.errors import FolderBusy, UsageError
from sparring.core.modules import evaluating
from sparring.core.pieces import members
from sparring.feedback import Flip
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.lipschitz import GradientPenalty, Lipschitz
from sparring.recipes import Recipe, load
from sparring.regimes import Regime
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

CPU = torch.device("cpu")


def game_of(recipe: Recipe) -> GANState:
    """A game in memory."""
    return GANState(recipe, recipe.data.open(CPU), CPU)


def play(recipe: Recipe, rounds: int) -> GANState:
    """A game after some rounds."""
    game = game_of(recipe)
    for step in range(rounds):
        play_round(game, step)
    return game


VARIANTS = {
    "flip": (),
    "expected": ("feedback.delivery=expected",),
    "per batch": ("feedback.delivery=per_batch",),
    "critic steps": ("critic_steps=3",),
    "gradient penalty": ("lipschitz=gradient_penalty",),
    "average": ("ema=0.9",),
    "spectral norm": ("lipschitz=spectral_norm", "optimizers.discriminator={name: sgd, lr: 0.01}"),
    "instance noise": ("lipschitz={name: instance_noise, sigma: 0.3}",),
    "symmetric": ("regime=symmetric",),
    "mixed": ("regime=mixed", "lipschitz=gradient_penalty"),
    "replace": ("regime=replace", "regime.attacked=both"),
    "random direction": ("regime={name: symmetric, attack: {name: fgsm, source: random_direction}}",),
    "digits": ("data=digits",),
    "sgd": ("optimizers.discriminator={name: sgd, lr: 0.01, momentum: 0.9}",),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_replicas_equal_single_games(variant: str, short: Callable[..., Recipe]) -> None:
    overrides = ("seed=3", *VARIANTS[variant])
    packed = play(short("replicas=3", *overrides), 12)
    for index in range(3):
        single = play(short(*overrides, f"seed={3 + index}"), 12)
        expected = single.networks.state_dict()
        for name, tensor in packed.networks.state_dict().items():
            torch.testing.assert_close(tensor[index], expected[name], rtol=2e-4, atol=2e-5)
        for name, value in single.log.means().items():
            assert packed.log.state()[name][1 + index] / packed.log.state()[name][0] == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("control", sorted(set(members(Lipschitz)) - {"together"}))
@pytest.mark.parametrize("regime", sorted(members(Regime)))
def test_every_regime_plays_with_every_control(regime: str, control: str, short: Callable[..., Recipe]) -> None:
    for objective in ("nonsaturating", "wasserstein"):
        game = play(short(f"regime={regime}", f"lipschitz={control}", f"objective={objective}", "replicas=2"), 2)
        assert all(parameter.isfinite().all() for parameter in game.networks.parameters())


def test_d_sees_everything_through_the_instance_noise(short: Callable[..., Recipe]) -> None:
    game = game_of(short("lipschitz={name: instance_noise, sigma: 0.5}"))
    real, fake = game.source.batch(0, 32, game.streams).samples, game.generate("latents", 0).samples.detach()
    assert not game.couples_samples  # found out once a game, by a pass of its own
    seen: list[torch.Tensor] = []
    game.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    play_round(game, 0)
    noises = [shown - clean for shown, clean in zip(seen, (real, fake, fake), strict=True)]  # the last one tells G
    assert all(noise.std().item() == pytest.approx(0.5, rel=0.3) for noise in noises)
    assert not any(torch.equal(noises[a], noises[b]) for a, b in ((0, 1), (1, 2), (0, 2)))


def test_the_memory_format_does_not_change_a_round() -> None:
    keys = ["data=digits", "generator.latent=8", "generator.width=4", "discriminator={name: mnist, width: 4}"]
    keys += [f"optimizers.{player}={{name: adam, lr: 0.01}}" for player in ("generator", "discriminator")]
    plain = play(load("dishonest/mnist", keys), 1)
    last = play(load("dishonest/mnist", [*keys, "memory_format=channels_last"]), 1)
    assert any(p.is_contiguous(memory_format=torch.channels_last) for p in last.networks.parameters() if p.dim() == 4)
    for mine, theirs in zip(plain.networks.parameters(), last.networks.parameters(), strict=True):
        # Adam's first step is lr sign(g): only where g is rounding noise may the two differ.
        apart = (mine - theirs).abs().detach() > 1e-3
        assert mine.dim() < 4 or apart.float().mean() < 0.02
    for optimizer in last.optimizers.values():
        for parameter, entries in optimizer.state.items():
            assert entries["exp_avg"].stride() == parameter.stride()


def test_replicas_differ(short: Callable[..., Recipe]) -> None:
    weights = play(short("replicas=2"), 1).generator.state_dict()["layers.layers.0.weight"]
    assert not torch.equal(weights[0], weights[1])


def test_the_adversary_does_not_shift_the_latents(short: Callable[..., Recipe]) -> None:
    honest, flipped = game_of(short("feedback=honest")), game_of(short("feedback.probability=0.4"))
    assert torch.equal(honest.generate("latents", 5).samples, flipped.generate("latents", 5).samples)


def test_a_certain_flip_reverses_the_generators_gradient(short: Callable[..., Recipe]) -> None:
    sgd = "optimizers.generator={name: sgd, lr: 0.1}"
    start = game_of(short(sgd)).generator.state_dict()
    moves = []
    for probability in (0, 1):
        after = play(short(sgd, f"feedback.probability={probability}"), 1).generator.state_dict()
        moves.append(torch.cat([(after[name] - start[name]).flatten() for name in start]))
    torch.testing.assert_close(moves[0], -moves[1], rtol=1e-3, atol=1e-6)


def test_clipping_holds_from_the_first_round_on(short: Callable[..., Recipe]) -> None:
    game = game_of(short("lipschitz.bound=0.05"))
    for step in range(4):
        assert max(float(p.detach().abs().max()) for p in game.discriminator.parameters()) <= 0.05 + 1e-8
        play_round(game, step)


def test_the_average_follows_its_formula(short: Callable[..., Recipe]) -> None:
    recipe = short("ema=0.75")
    game = game_of(recipe)
    expected = [p.detach().clone() for p in game.generator.parameters()]
    for step in range(5):
        play_round(game, step)
        expected = [0.75 * e + 0.25 * p.detach() for e, p in zip(expected, game.generator.parameters(), strict=True)]
    for mean, want in zip(game.sampler.parameters(), expected, strict=True):
        torch.testing.assert_close(mean, want)


def test_a_penalty_that_does_not_fit_is_refused_with_the_layer() -> None:
    digits = ["data=digits", "generator.latent=4", "generator.width=4", "discriminator.width=4"]
    with pytest.raises(UsageError, match=r"trunk\.3.*BatchNorm2d"):
        game_of(load("dishonest/mnist", [*digits, "lipschitz=gradient_penalty"]))


def test_a_gradient_penalty_on_a_linear_score_has_its_closed_form() -> None:
    from sparring.core.randomness import Rng

    direction = torch.tensor([3.0, 4.0])
    cost = GradientPenalty(weight=2.0).penalty(
        lambda x: x @ direction, torch.randn(6, 2), torch.randn(6, 2), batch_axes=1, rng=Rng.of(0)
    )
    torch.testing.assert_close(cost, torch.full((6,), 2.0 * (5 - 1) ** 2))


def test_a_gradient_penalty_is_differentiable_at_a_zero_gradient() -> None:
    from sparring.core.randomness import Rng

    weight = torch.zeros(2, requires_grad=True)
    cost = GradientPenalty().penalty(
        lambda x: x @ weight, torch.randn(6, 2), torch.randn(6, 2), batch_axes=1, rng=Rng.of(0)
    )
    cost.sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert weight.grad.isfinite().all()


def test_a_run_folder_is_what_the_design_says(short: Callable[..., Recipe], run_path: Path) -> None:
    recipe = short("replicas=2", "sample_every=10", "evaluate_every=10")
    summary = train(recipe, run_path, device="cpu")
    assert RunFolder.open(run_path).recipe() == recipe
    rows = [json.loads(line) for line in (run_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "d_real" in row] == [3, 6, 9, 10, 12, 15, 18, 20]
    assert [row["step"] for row in rows if "collapse_spread" in row] == list(range(1, 21))
    assert len(rows) == 20
    assert all(next(iter(row)) == "step" for row in rows)
    assert len(rows[2]["d_real"]) == 2
    assert {path.name for path in run_path.iterdir()} >= {"recipe.yaml", "environment.json", "summary.json", "samples"}
    assert [folder.name for folder in RunFolder.open(run_path).saved()] == ["000000014", "000000020"]
    assert summary.as_json() == json.loads((run_path / "summary.json").read_text())
    assert summary.status == "complete"
    assert len(summary.metrics["high_quality"].estimates) == 2


def test_tensorboard_reads_the_events(short: Callable[..., Recipe], run_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(short("replicas=2"), run_path, device="cpu")
    events = EventAccumulator(str(run_path / "tb")).Reload()
    logged = [(event.step, event.value) for event in events.Scalars("d_real/1")]
    rows = [row for row in RunFolder.open(run_path).rows() if "d_real" in row]
    assert [step for step, _ in logged] == [row["step"] for row in rows]
    assert [value for _, value in logged] == pytest.approx([row["d_real"][1] for row in rows], rel=1e-6)


def test_an_existing_folder_is_not_overwritten(short: Callable[..., Recipe], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        train(short(), tmp_path, device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_only_one_of_two_starters_gets_the_folder(short: Callable[..., Recipe], run_path: Path) -> None:
    run = RunFolder.create(run_path, short(), {})
    with run.owned(), pytest.raises(FolderBusy):
        RunFolder.create(run_path, short(), {})


def test_evaluating_gives_every_module_its_mode_back() -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Dropout())
    network[0].eval()
    with evaluating(network):
        assert not network.training
    assert [each.training for each in network] == [False, True]


def test_the_flip_is_what_the_channel_applies() -> None:
    score = torch.tensor([-2.0, 3.0])
    assert torch.equal(Flip().score(score), -score)
