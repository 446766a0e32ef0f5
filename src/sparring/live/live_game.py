"""One game on the ring, whose settings change while it trains: the library's own round, pieces and measures."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from sparring.core.descent import NotFiniteStep
from sparring.core.errors import NonFinite
from sparring.core.intervals import percent
from sparring.core.modules import evaluating, frozen, input_gradient
from sparring.core.pieces import members
from sparring.core.randomness import Rng
from sparring.core.records import NonNegative, Probability, Record
from sparring.gan.sampling import draw
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.lipschitz import Lipschitz
from sparring.metrics import Reference
from sparring.metrics.mode_coverage import Modes
from sparring.monitoring.line_picture import extent_of
from sparring.objectives import Objective, Wasserstein, is_odd
from sparring.recipes import Recipe, load_with, require_game
from sparring.regimes import AdversarialRegime, Regime
from sparring.report.format import number
from sparring.theory.theorem_coverage import covered_by

BASE = {
    "generator.hidden": [48, 48, 48],
    "generator.latent": 16,
    "discriminator.hidden": [48, 48, 48],
    "optimizers.generator": {"name": "adam", "lr": 2e-3, "beta1": 0.5},
    "optimizers.discriminator": {"name": "rmsprop", "lr": 2e-3, "alpha": 0.9},
    "batch_size": 128,
    "replicas": 1,
    "ema": 0.0,
    "steps": 1_000_000_000,
}
"""What is changed of `dishonest/ring-small`: smaller networks, larger and constant rates, no end."""
POINTS, ARROWS, SIDE = 384, 40, 40
"""Samples of G, those with an arrow, and places along each axis at which D is evaluated."""
_ALIKE = 0.05
"""Mean outputs of D on real and generated samples that differ by less are about the same."""
_SOME = 0.05
"""The share of samples outside of the picture from which on it is said."""
_TINY = 1e-12
_REMEDY = "Start again under other settings."


class GameSettings(Record):
    """What can be changed of a game while it trains.

    Args:
        objective: a member of the family.
        probability: of D's output being flipped on its way to G.
        regime: a member of the family; those under attack take one FGSM step.
        epsilon: of that step, in the units of the ring, whose radius is 2.
        lipschitz: a member of the family.
        strength: the value of its key in `STRENGTHS`.
    """

    objective: str = "log"
    probability: Probability = 0.0
    regime: str = "plain"
    epsilon: NonNegative = 0.2
    lipschitz: str = "clip"
    strength: Annotated[float, Field(ge=0, le=1000)] = 0.15

    def recipe(self, seed: int) -> Recipe:
        """The game of these settings.

        Raises:
            InvalidRecord: a name or a number does not fit.
        """
        attack = {"name": "fgsm", "epsilon": self.epsilon}
        key = strengths().get(self.lipschitz)
        keys = BASE | {
            "objective": self.objective,
            "feedback": {"name": "flip", "probability": self.probability},
            "regime": {"name": self.regime} | ({"attack": attack} if self.regime in attacked_regimes() else {}),
            "lipschitz": {"name": self.lipschitz} | ({key.name: self.strength} if key else {}),
            "seed": seed,
        }
        return require_game(load_with("dishonest/ring-small", keys), "the game")


@dataclass(frozen=True)
class StrengthKey:
    """The key of a Lipschitz control that says how strong it is, and its default."""

    name: str
    default: float


@cache
def strengths() -> Mapping[str, StrengthKey]:
    """The key of the strength by control: the first number of those that have one."""
    found = {
        control: next(
            (
                StrengthKey(key, field.default)
                for key, field in cls.model_fields.items()
                if type(field.default) is float
            ),
            None,
        )
        for control, cls in members(Lipschitz).items()
    }
    return {control: key for control, key in found.items() if key}


@cache
def attacked_regimes() -> frozenset[str]:
    """The regimes that show D attacked samples."""
    return frozenset(name for name, cls in members(Regime).items() if issubclass(cls, AdversarialRegime))


@cache
def choices() -> Mapping[str, Mapping[str, str]]:
    """What can be chosen, with the words for it: members of the families that need no keys."""
    objectives = {
        name: f"{name}{' (odd)' if is_odd(cls().real) and is_odd(cls().generator) else ''}"
        for name, cls in _buildable(Objective).items()
    }
    return {
        "objective": objectives,
        "regime": {name: name for name in _buildable(Regime)},
        "lipschitz": {name: name for name in _buildable(Lipschitz)},
    }


def _buildable(family: type[Any]) -> dict[str, type[Any]]:
    return {
        name: cls
        for name, cls in members(family).items()
        if not any(field.is_required() for field in cls.model_fields.values())
    }


class LiveGame:
    """A game, its settings, and what is seen of it.

    Args:
        settings: at the start.
        seed: of all noise: two games of one seed see the same data, latents and lies, round by round.
    """

    def __init__(self, settings: GameSettings, seed: int) -> None:
        self.settings, self.seed = settings, seed
        self._ended, self._last, self._means = "", dict[str, Any](), dict[str, Any]()
        recipe = settings.recipe(seed)
        self.state = GANState(recipe, recipe.data.open(torch.device("cpu")), torch.device("cpu"))
        self._covered = _covered(self.state.recipe)
        facts = self.state.source.facts
        assert facts.centres is not None
        self.extent, self.centres, self.std = extent_of(facts), _rounded(facts.centres), facts.std
        self._reference = Reference(torch.empty(0, 2), facts.centres, facts.std, facts.classes, classifier=None)

    def change(self, settings: GameSettings) -> None:
        """Go on under other settings, with the networks, moments and noise as they are.

        A control that keeps D's weights in another form starts D anew.

        Raises:
            InvalidRecord: a name or a number does not fit; nothing has changed.
        """
        before = self.state
        before.log.means()
        self.state = GANState(settings.recipe(self.seed), before.source, before.device)
        if self.state.networks.state().keys() == before.networks.state().keys():
            self.state.load_state(before.state())
        else:
            self.state.networks.generator.load_state_dict(before.networks.generator.state_dict())
            self.state.optimizers["generator"].load_state_dict(before.optimizers["generator"].state_dict())
        self.state.recipe.lipschitz.constrain(self.state.networks.discriminator)
        self.settings, self._covered = settings, _covered(self.state.recipe)

    def play(self, step: int) -> None:
        """One round, unless a number was not finite in an earlier one."""
        if self._ended:
            return
        try:
            play_round(self.state, step)
        except NotFiniteStep as failed:
            self._ended = f"Stopped at round {step + 1:,}: not finite: {failed}. {_REMEDY}"

    def seen(self, step: int) -> dict[str, Any]:
        """What a page draws after `step` rounds; of a game that has stopped, what it drew last.

        - `points` `(POINTS, 2)`, samples of G of fixed latents, and `near`, the share of them near a mode;
        - `arrows` `(ARROWS, 4)`, samples, and the gradient of G's payoff there through the adversary, over its
          `longest`; `lies` says where it is opposed to the gradient of the payoff for D's true score;
        - `landscape`, D's output on a grid of SIDE x SIDE places, from the bottom left, as base64 of bytes: its
          probability of "real", or a critic's score from the lowest to the highest of its `scores`.
        """
        if not self._ended:
            try:
                self._last = self._drawn(step)
            except NonFinite as error:
                self._ended = f"Stopped: {error.cause}. {_REMEDY}"
        sentences = [self._ended] if self._ended else self._last["sentences"]
        return self._last | {"settings": self.settings.model_dump(), "sentences": sentences}

    def _drawn(self, step: int) -> dict[str, Any]:
        state, objective = self.state, self.state.recipe.objective
        self._means = state.log.means() or self._means
        points = draw(state, POINTS, "pictures", 0).samples
        axis = torch.linspace(-self.extent, self.extent, SIDE)
        grid, starts = torch.cartesian_prod(axis, axis).flip(1), points[:ARROWS]
        rng = state.own_streams.rng("play/arrows", step)
        with frozen(state.networks.parameters()), evaluating(state.discriminator):
            scores = state.score(grid).detach()
            honest = input_gradient(lambda x: objective.generator(state.score(x)), starts).gradient
            sent = input_gradient(lambda x: self._transmitted(x, rng), starts).gradient
        longest, low, high = float(sent.norm(dim=1).max()), float(scores.min()), float(scores.max())
        is_critic = isinstance(objective, Wasserstein)
        shades = (scores - low) / max(high - low, _TINY) if is_critic else torch.sigmoid(scores)
        measured = Modes().measure(points, self._reference)
        return {
            "points": _rounded(points),
            "arrows": _rounded(torch.cat([starts, sent / max(longest, _TINY)], dim=1)),
            "lies": ((honest * sent).sum(1) < 0).tolist(),
            "longest": number(longest),
            "landscape": base64.b64encode((255 * shades).round().byte().numpy().tobytes()).decode(),
            "scores": [number(low), number(high)],
            "is_critic": is_critic,
            "modes": measured["modes"],
            "near": measured["high_quality"],
            "sentences": [
                _of_generator(measured, len(self.centres), float((points.abs() > self.extent).any(1).float().mean())),
                *_of_discriminator(self._means, is_critic),
                self._covered,
            ],
        }

    def _transmitted(self, samples: Tensor, rng: Rng) -> Tensor:
        recipe = self.state.recipe
        return recipe.feedback.transmit(recipe.objective.generator, self.state.score(samples), rng=rng)


def _of_generator(measured: Mapping[str, float], modes: int, outside: float) -> str:
    """What one sees of G, in words."""
    covered, near = int(measured["modes"]), percent(measured["high_quality"], 0)
    which = "no mode" if not covered else f"all {modes} modes" if covered == modes else f"{covered} of {modes} modes"
    beyond = f", {percent(outside, 0)} outside of the picture" if outside > _SOME else ""
    return f"G covers {which}; {near} of its samples are near one{beyond}."


def _of_discriminator(means: Mapping[str, Any], is_critic: bool) -> list[str]:
    """What D says on average, in words; nothing before the first round."""
    if not means:
        return []
    attacked = "" if "d_real" in means else "attacked "  # a regime may show no others
    suffix = "_adversarial" if attacked else ""
    if is_critic:
        real, fake = number(means[f"score_real{suffix}"]), number(means["score_fake"])
        return [f"On average D scores {attacked}real samples {real} and generated ones {fake}."]
    real, fake = means[f"d_real{suffix}"], means["d_fake"]
    tells = "can hardly tell them apart" if abs(real - fake) < _ALIKE else "tells them apart"
    return [f"D gives {attacked}real samples {real:.2f} and generated ones {fake:.2f}: it {tells}."]


def _covered(recipe: Recipe) -> str:
    """Which theorem covers a game, and why."""
    text = str(covered_by(recipe.objective, recipe.feedback))
    return f"{text[:1].upper()}{text[1:]}."


def _rounded(values: Tensor) -> list[list[float]]:
    return [[round(each, 3) for each in row] for row in values.tolist()]
