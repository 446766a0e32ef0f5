"""How far G's weights travel until D believes its samples more, against G moved by hand."""

from __future__ import annotations

import copy

import torch

from sparring.claims.measures.generator_travel import GeneratorTravel
from sparring.claims.values import PlayedGame
from sparring.gan.load import load_gan

Games = tuple[PlayedGame, PlayedGame]


def test_at_the_distance_the_belief_has_risen_and_before_it_has_not(robgan_games: Games) -> None:
    game = robgan_games[1]
    travel = GeneratorTravel(rise=0.05, samples=64).of(game)
    assert travel is not None
    assert 0 < travel < 10
    gan = load_gan(game.trained.folder, "cpu").game(game.index)
    codes = gan.recipe.generator.draw((64,), gan.networks.space, rng=gan.streams.rng("claims/latents")).values
    generator, discriminator = gan.networks.generator.eval(), gan.networks.discriminator.eval()
    start = torch.sigmoid(discriminator(generator(codes)).score).mean()
    start.backward()
    length = torch.cat([weight.grad.flatten() for weight in generator.parameters()]).norm()

    def risen(distance: float) -> float:
        moved = copy.deepcopy(generator)
        with torch.no_grad():
            for weight, original in zip(moved.parameters(), generator.parameters(), strict=True):
                weight += distance / length * original.grad
            return float(torch.sigmoid(discriminator(moved(codes)).score).mean() - start)

    assert risen(1.001 * travel) >= 0.05
    assert risen(0.99 * travel) < 0.05


def test_a_rise_beyond_one_is_never_reached(robgan_games: Games) -> None:
    assert GeneratorTravel(rise=1.5, furthest=2.0, samples=8).of(robgan_games[0]) == 2.0
