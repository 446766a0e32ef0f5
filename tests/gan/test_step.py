"""A round and a short run: clipping, noise, running averages, and the files of a run folder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sparring.core.errors import UsageError
from sparring.core.pieces import members
from sparring.gan.sampling import draw
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.lipschitz import Lipschitz
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


@pytest.mark.parametrize("control", sorted(set(members(Lipschitz)) - {"together"}))
@pytest.mark.parametrize("regime", sorted(members(Regime)))
def test_every_regime_trains_with_every_control(regime: str, control: str, short: Callable[..., Recipe]) -> None:
    for objective in ("nonsaturating", "wasserstein"):
        game = play(short(f"regime={regime}", f"lipschitz={control}", f"objective={objective}", "replicas=2"), 2)
        assert all(parameter.isfinite().all() for parameter in game.networks.parameters())


def test_d_sees_everything_through_the_instance_noise(short: Callable[..., Recipe]) -> None:
    game = game_of(short("lipschitz={name: instance_noise, sigma: 0.5}"))
    real, fake = game.source.batch(0, 32, game.streams).samples, game.generate("latents", 0).samples.detach()
    assert not game.couples_samples  # computed once a game, by an extra pass
    seen: list[torch.Tensor] = []
    game.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    play_round(game, 0)
    noises = [shown - clean for shown, clean in zip(seen, (real, fake, fake), strict=True)]  # the last one is for G
    assert all(noise.std().item() == pytest.approx(0.5, rel=0.3) for noise in noises)
    assert not any(torch.equal(noises[a], noises[b]) for a, b in ((0, 1), (1, 2), (0, 2)))


def test_the_adversary_does_not_shift_the_latents(short: Callable[..., Recipe]) -> None:
    honest, flipped = game_of(short("feedback=honest")), game_of(short("feedback.probability=0.4"))
    assert torch.equal(honest.generate("latents", 5).samples, flipped.generate("latents", 5).samples)


def test_clipping_holds_from_the_first_round_on(short: Callable[..., Recipe]) -> None:
    game = game_of(short("lipschitz.bound=0.05"))
    for step in range(4):
        assert max(float(p.detach().abs().max()) for p in game.discriminator.parameters()) <= 0.05 + 1e-8
        play_round(game, step)


def test_clipping_before_a_turn_leaves_d_one_step_outside(short: Callable[..., Recipe]) -> None:
    """Appendix B of Xu, Li, Jegelka: clip, then update D and G."""
    rate = 0.01
    sgd = f"optimizers.discriminator={{name: rmsprop, lr: {rate}, alpha: 0.0}}"  # every step has size rate
    recipe = short("lipschitz={name: clip, bound: 0.05, when: before}", sgd, "critic_steps=2", "ema=0")
    game = game_of(recipe)
    shown: list[float] = []  # the largest parameter when D judges: real, fake, real, fake, and for G
    largest = lambda: max(float(p.detach().abs().max()) for p in game.discriminator.parameters())  # noqa: E731
    assert not game.couples_samples  # computed once a game, by an extra pass
    game.discriminator.register_forward_pre_hook(lambda *_: shown.append(largest()))
    assert largest() > 0.06, "not yet clipped"
    play_round(game, 0)
    assert shown[:4] == pytest.approx([0.05] * 4)
    assert shown[4] == pytest.approx(0.05 + rate, rel=1e-3)


def test_fresh_latents_shift_nothing_else(short: Callable[..., Recipe]) -> None:
    reused, fresh = game_of(short("ema=0")), game_of(short("ema=0", "fresh_latents=true"))
    samples: dict[str, list[torch.Tensor]] = {"reused": [], "fresh": []}
    for name, game in (("reused", reused), ("fresh", fresh)):
        assert not game.couples_samples
        game.discriminator.register_forward_pre_hook(lambda _, x, name=name: samples[name].append(x[0].detach()))
        play_round(game, 0)
    for d, same in zip(reused.discriminator.parameters(), fresh.discriminator.parameters(), strict=True):
        assert torch.equal(d, same), "D's update is the same"
    (real, fake, for_g), (real_too, fake_too, fresh_for_g) = samples["reused"], samples["fresh"]
    assert torch.equal(real, real_too) and torch.equal(fake, fake_too)
    assert torch.equal(for_g, fake)
    assert not torch.isclose(fresh_for_g, fake).all(1).any(), "every sample is another one"
    assert torch.equal(fresh_for_g, fresh_generator(short)(0))


def fresh_generator(short: Callable[..., Recipe]) -> Callable[[int], torch.Tensor]:
    """What G makes of its own latents before the first round."""
    game = game_of(short("ema=0"))
    return lambda number: game.generate("latents/fresh", number).samples.detach()


@pytest.mark.parametrize("ema", [0.999, 0.3])
@pytest.mark.parametrize("replicas", [1, 3])
def test_the_mean_has_the_weights_of_its_closed_form(ema: float, replicas: int, short: Callable[..., Recipe]) -> None:
    """G before the first round is update -1; in the warm-up, update k of n has the weight C(k + 9, 8) / C(n + 9, 9)."""
    rounds = 12
    game = game_of(short(f"ema={ema}", f"replicas={replicas}"))
    seen = [flat_weights(game.generator)]
    for step in range(rounds):
        play_round(game, step)
        seen.append(flat_weights(game.generator))
    if ema > (1 + rounds) / (10 + rounds):
        weights = [math.comb(k + 9, 8) / math.comb(rounds + 9, 9) for k in range(-1, rounds)]
    else:  # 1/10, 2/11, 3/12, and from t = 3 on 0.3
        warm = [math.comb(k + 9, 8) / math.comb(12, 9) for k in range(-1, 3)]
        weights = [each * ema ** (rounds - 3) for each in warm]
        weights += [(1 - ema) * ema ** (rounds - 1 - k) for k in range(3, rounds)]
    assert math.fsum(weights) == pytest.approx(1, rel=1e-15)
    wanted = (torch.tensor(weights, dtype=torch.float64)[:, None] * torch.stack(seen)).sum(0)
    torch.testing.assert_close(flat_weights(game.networks.sampler), wanted, rtol=1e-6, atol=1e-7)


def test_the_mean_of_a_short_run_draws_what_its_generator_draws() -> None:
    game = game_of(load("robgan/digits", ["regime=plain", "discriminator.hidden=[64]", "batch_size=32"]))
    assert game.recipe.ema == 0.999
    before = draw(game, 256, "pictures", 0).samples
    for step in range(150):
        play_round(game, step)
    mean = draw(game, 256, "pictures", 0).samples
    live = draw(game, 256, "pictures", 0, generator=game.networks.generator).samples
    travelled, apart = ((live - each).square().mean().sqrt() for each in (before, mean))
    assert apart < travelled * 2 / 3


def flat_weights(network: torch.nn.Module) -> torch.Tensor:
    """All parameters of a network in fp64."""
    return torch.cat([each.detach().double().flatten() for each in network.parameters()])


def test_the_files_of_a_run_folder(short: Callable[..., Recipe], run_path: Path) -> None:
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
