"""Figure 2 and algorithm 1 of AS-GAN, written out by hand, against one round of our own training step.

    theta'  = theta  + eta grad V_m(theta,  phi, x,     z)                  equation (12)
    x_hat   = x - epsilon sign(grad_x V_m(theta, phi, x, z))                equation (13), clipped to the data's range
    theta'' = theta' + eta grad V_m(theta', phi, x_hat, z)                  equation (14)
    phi'    = phi    + eta grad mean log D_theta''(G_phi(z))                equation (15), non-saturating

Values: `d_first`, `d_second` and `g` are relative errors of the steps of theta and phi; `x_hat` is the share of entries
of the attacked samples that differ; `updates` counts D's optimizer steps; `second_view` is 1 if the second of them saw
x_hat and the same generated samples as the first.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from sparring.attacks import Epsilon
from sparring.claims.computations.base import Computation
from sparring.claims.computations.small_games import DESCENT, game_of, relative_error, values_of
from sparring.claims.values import Value
from sparring.core.pieces import piece
from sparring.gan.step import play_round

_ROUNDING = 1e-6
_RATE = float(str(DESCENT["lr"]))


@piece("symmetric_round")
class SymmetricRound(Computation):
    """The round of `regime: symmetric` and the paper's algorithm 1, on one batch, by plain gradient steps.

    Args:
        recipe: the game.
        epsilon: of FGSM.
    """

    recipe: str = "asgan/digits"
    epsilon: Epsilon = 16 / 255

    def compute(self, seed: int) -> Mapping[str, Value]:
        changes = {
            "regime": {"name": "symmetric", "attack": {"name": "fgsm", "epsilon": self.epsilon}},
            "optimizers": {"generator": DESCENT, "discriminator": DESCENT},
            "ema": 0.0,
        }
        ours, written = (game_of(self.recipe, seed, changes) for _ in range(2))
        seen = Recorded(ours.networks.discriminator)
        states: list[Tensor] = []
        step = ours.descents["discriminator"].step

        def counted(loss: Tensor) -> None:
            step(loss)
            states.append(values_of(ours.networks.discriminator))

        ours.descents["discriminator"].step = counted  # type: ignore[method-assign]
        play_round(ours, 0)
        d, g = written.networks.discriminator, written.networks.generator
        x, start, g_start = written.real_batch(0).samples, values_of(d), values_of(g)
        fake = written.generate("latents", 0).samples
        leaf = x.clone().requires_grad_()
        torch.autograd.backward(_log_likelihood(d, leaf, fake.detach()))
        assert leaf.grad is not None
        # x lies in [-1, 1], where a size in units of [0, 1] counts twice.
        x_hat = (x - 2 * self.epsilon * leaf.grad.sign()).clamp(-1, 1)
        _ascend(d)
        after_first = values_of(d)
        torch.autograd.backward(_log_likelihood(d, x_hat, fake.detach()))
        _ascend(d)
        after_second = values_of(d)
        torch.autograd.backward(logsigmoid(d(fake).score).mean())
        _ascend(g)
        return {
            "updates": float(len(states)),
            "d_first": relative_error(states[0] - start, after_first - start),
            "d_second": relative_error(states[-1] - states[0], after_second - after_first),
            "x_hat": apart(seen.inputs[-3], x_hat),
            "second_view": float(torch.equal(seen.inputs[-2], seen.inputs[-4])),
            "g": relative_error(values_of(ours.networks.generator) - g_start, values_of(g) - g_start),
        }


class Recorded:
    """Keeps what a network was shown, last in a symmetric round: real, generated, attacked, generated, G's samples.

    Args:
        network: to watch.
    """

    def __init__(self, network: nn.Module) -> None:
        self.inputs: list[Tensor] = []
        network.register_forward_pre_hook(lambda _network, given: self.inputs.append(given[0].detach().clone()))


def apart(found: Tensor, expected: Tensor) -> float:
    """The share of entries that differ by more than rounding."""
    return float(((found - expected).abs() > _ROUNDING).double().mean())


def _log_likelihood(d: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """V_m: mean log D(x) + mean log (1 - D(G(z)))."""
    return logsigmoid(d(real).score).mean() + logsigmoid(-d(fake).score).mean()


@torch.no_grad()
def _ascend(network: nn.Module) -> None:
    for parameter in network.parameters():
        assert parameter.grad is not None
        parameter.add_(parameter.grad, alpha=_RATE)
        parameter.grad = None
