"""The heads of a discriminator and what they are paid for: AC-GAN's, Rob-GAN's, and the projection of SN-GAN.

    auxiliary    score <w, phi(x)> + b, class logits V phi(x) + c         AC-GAN with (8), Rob-GAN with (9)
    projection   score <w, phi(x)> + b + <e_y, phi(x)>                    SN-GAN

Source: Rob-GAN, figure 4, equations (8) and (9).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from sparring.claims.computations.base import Computation
from sparring.claims.values import Value
from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.gan.state import GANState
from sparring.gan.step import DiscriminatorTurn
from sparring.networks.heads import DiscriminatorModule
from sparring.recipes import load, require_game
from sparring.regimes import Origin

_CPU = torch.device("cpu")


@piece("discriminator_heads")
class DiscriminatorHeads(Computation):
    """Scores, class logits and gradients of D at its initial weights.

    Values:
        projection_error, auxiliary_error, class_error: largest differences of scores and class logits from the
            formulas above, computed from the features and the weights.
        projection_label, auxiliary_label: largest change of a score when the label changes.
        layers_difference: largest difference of AC-GAN's D and Rob-GAN's D at one seed; infinite if they have other
            shapes.
        split_real, split_fake, ac_real, ac_fake: norm of the gradient of D's payoff on real and on generated images
            with respect to the layer of the class logits, under (9) and (8).

    Args:
        samples: of each kind.
    """

    samples: Count = 64

    def compute(self, seed: int) -> Mapping[str, Value]:
        split, ac = self._game("robgan/digits", seed), self._game("robgan/digits-ac", seed)
        projection = self._game(
            "robgan/digits-no-attack", seed, "discriminator.head=projection", "class_loss=none", "objective=hinge"
        )
        return {
            **self._scores(split, projection),
            "layers_difference": _difference(split.discriminator, ac.discriminator),
            **{f"split_{origin}": self._slope(split, origin) for origin in ("real", "fake")},
            **{f"ac_{origin}": self._slope(ac, origin) for origin in ("real", "fake")},
        }

    def _game(self, recipe: str, seed: int, *overrides: str) -> GANState:
        changes = [f"seed={seed}", f"batch_size={self.samples}", *overrides]
        found = require_game(load(recipe, changes), recipe)
        return GANState(found, found.data.open(_CPU), _CPU)

    @torch.no_grad()
    def _scores(self, auxiliary: GANState, projection: GANState) -> dict[str, float]:
        batch = auxiliary.real_batch(0)
        x, y = batch.samples, batch.labels
        assert y is not None
        other = (y + 1) % auxiliary.space.classes
        found = {}
        for name, game in (("auxiliary", auxiliary), ("projection", projection)):
            head, verdict = game.recipe.discriminator.head, game.judge(x)
            score = head.score(verdict, y)
            found[f"{name}_label"] = float((score - head.score(verdict, other)).abs().max())
            phi, state = layers_of(game).trunk(x), layers_of(game).head.state_dict()
            expected = phi @ state["source.weight"][:, 0] + state["source.bias"]
            classes = phi @ state["classes.weight"]
            if name == "projection":
                expected = expected + classes.gather(1, y[:, None])[:, 0]
            else:
                assert verdict.classes is not None
                found["class_error"] = float((verdict.classes - classes - state["classes.bias"]).abs().max())
            found[f"{name}_error"] = float((score - expected).abs().max())
        return found

    def _slope(self, game: GANState, origin: Origin) -> float:
        real, fake = game.real_batch(0), game.generate("latents", 0)
        turn = DiscriminatorTurn(game, 0, 0, {"real": real.labels, "fake": fake.labels})
        samples = {"real": real.samples, "fake": fake.samples.detach()}[origin]
        layer = dict(game.discriminator.named_parameters())["head.classes.weight"]
        (gradient,) = torch.autograd.grad(turn.payoff(origin, samples).mean(), [layer], allow_unused=True)
        return 0.0 if gradient is None else float(gradient.norm())


def layers_of(game: GANState) -> DiscriminatorModule:
    """D as trunk and head."""
    return cast(DiscriminatorModule, game.discriminator)


def _difference(one: nn.Module, other: nn.Module) -> float:
    left, right = one.state_dict(), other.state_dict()
    if {name: each.shape for name, each in left.items()} != {name: each.shape for name, each in right.items()}:
        return float("inf")
    return max(_largest(left[name], right[name]) for name in left)


def _largest(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())
