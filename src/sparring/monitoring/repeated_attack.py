"""How many attacks in a row a discriminator stands: DAT's confirmatory experiment.

An attack on a sample x succeeds when D takes it for the other side's,

    |D(x_hat) - D(x_other)| <= tolerance,    D = sigmoid(score);

until then the same small attack is made again, each time from where the last one left the sample. A step that is long
against D's slope may jump over the tolerance, to where D takes the sample for the other side's even more; that ends the
attack as well, and is told apart.

Source: Direct Adversarial Training for GANs, equation (1) and figure 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from sparring.attacks.base import Attack
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Scores, Space, expand_like


class Endurance(NamedTuple):
    """What happened to every sample.

    Args:
        attacks: made before D took it for the other side's, `(*batch)`; the cap where D never did.
        reached: whether D's output came within the tolerance.
        overshot: whether it jumped over the tolerance instead, from one side of it to the other.
        moved: the samples as the attacks left them.
    """

    attacks: Int[Tensor, "*batch"]
    reached: Bool[Tensor, "*batch"]
    overshot: Bool[Tensor, "*batch"]
    moved: Samples


def attack_until(
    x: Samples,
    target: Scores,
    *,
    score: Callable[[Samples], Scores],
    attack: Attack,
    tolerance: float,
    cap: int,
    network: nn.Module,
    space: Space,
    rng: Rng,
) -> Endurance:
    """Attack every sample until D's output on it is near its target.

    Args:
        x: `(*batch, *space.shape)`.
        target: the other side's mean of D, `(*batch)`, in [0, 1].
        score: `(*batch, ...) -> (*batch)`, D's score; D sees every sample alone.
        attack: made once a round; its budget holds for one round.
        tolerance: of |D - target|.
        cap: rounds, at most.
        network: what the score runs; left without a trace.
        space: shape and range of the samples.
        rng: of the attack's random starts and directions.
    """
    moved = x.detach()

    def loss(samples: Samples) -> Scores:
        return -difference(score(samples), target).abs()

    with torch.no_grad():
        before = difference(score(moved), target)
        reached = before.abs() <= tolerance
        attacks, overshot = torch.zeros_like(reached, dtype=torch.int64), torch.zeros_like(reached)
        for _ in range(cap):
            done = reached | overshot
            if bool(done.all()):
                break
            attacked = attack(moved, loss, network=network, space=space, rng=rng)
            moved = torch.where(expand_like(done, moved), moved, attacked)
            attacks += ~done
            now = difference(score(moved), target)
            reached |= ~done & (now.abs() <= tolerance)
            overshot |= ~done & (now * before < 0) & (now.abs() > tolerance)
            before = now
    return Endurance(attacks, reached, overshot, moved)


def difference(score: Scores, target: Scores) -> Scores:
    """sigmoid(score) - target in fp64, with a gradient that survives a D that is sure.

    1 - sigmoid(s) rounds to 0 beyond s = 17 in fp32; its equal sigmoid(-s) does not.
    """
    wide, mean = score.double(), target.double()
    tail = torch.sigmoid(torch.where(wide > 0, -wide, wide))
    return torch.where(wide > 0, (1 - mean) - tail, tail - mean)
