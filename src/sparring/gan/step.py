"""One round of the game: D learns from what it sees, G learns from what it is told. Read this first.

Nothing here asks which objective, adversary, regime or Lipschitz control is played.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sparring.core.modules import frozen
from sparring.core.randomness import Rng
from sparring.core.shapes import over_samples
from sparring.data import Batch
from sparring.gan.state import GANState
from sparring.gan.stepping import descend
from sparring.networks import Verdict
from sparring.regimes import Origin, Response, Responses, View

WORDS: Mapping[Origin, str] = {"real": "real", "fake": "generated"}
"""The sides as an error calls them."""
SATURATED = 10.0
"""A score of this size or more hardly passes a gradient through a bounded payoff; the log counts them."""


def play_round(game: GANState, step: int) -> None:
    """`critic_steps` updates of D, then one of G through the adversary on its feedback; all of it on the device.

    G learns from the samples that D met last, so no fakes are generated twice.

    Args:
        game: whose round it is.
        step: which round.
    """
    game.set_rates(step)
    turns = game.recipe.critic_steps
    for number in range(step * turns, (step + 1) * turns):
        real = game.real_batch(number)
        fake = game.generate("latents", number)
        game.log.finite("real samples", [real.samples])
        game.log.finite("generated samples", [fake.samples])
        seen_real = game.disturb(real.samples, step, "real", number)
        seen_fake = game.disturb(fake.samples.detach(), step, "fake", number)
        side = Discriminating(game, step, number, {"real": real.labels, "fake": fake.labels})
        game.recipe.regime.update(side, seen_real, seen_fake)
    update_generator(game, fake, step)
    game.update_average()
    average = game.networks.average
    game.log.finite("running mean of the generator", [*average.parameters(), *average.buffers()])
    for player, network in (("generator", game.generator), ("discriminator", game.discriminator)):
        game.group.average([buffer for buffer in network.buffers() if buffer.is_floating_point()])
        game.log.finite(f"running statistics of the {player}", network.buffers())


class Discriminating:
    """D's side of one turn, as a regime sees it.

    Args:
        game: whose D it is.
        step: the round.
        number: the turn, counted over the whole game.
        labels: the classes of the batch's real and generated samples, `(*batch)`, where there are any.
    """

    def __init__(self, game: GANState, step: int, number: int, labels: Mapping[Origin, Tensor | None]) -> None:
        self.game, self.round, self.number, self.labels = game, step, number, labels
        self.network, self.space = game.discriminator, game.source.facts.space
        self._parameters = list(game.discriminator.parameters())
        self._steps, self._has_paid = 0, False

    @property
    def couples_samples(self) -> bool:
        """Whether D's score of a sample depends on the others of its batch."""
        return self.game.couples_samples

    def show(self, view: View, gradients: Sequence[Origin] = ()) -> Responses:
        """Add the gradient of the weighted payoff (equation 3.1), less what the Lipschitz control costs once a step."""
        for each in view.attacked:
            self.game.log.finite(f"adversarial {WORDS[each]} samples", [view.of(each)])
        leaves = {side: view.of(side).detach().requires_grad_() for side in gradients}
        for each, leaf in leaves.items():
            self.game.log.slope(f"slope of D at {WORDS[each]} samples", leaf)
        verdicts: dict[Origin, Verdict] = {
            "real": self.game.judge(leaves.get("real", view.real)),
            "fake": self.game.judge(leaves.get("fake", view.fake)),
        }
        real = self._paid("real", verdicts["real"], of="real")
        fake = self._paid("fake", verdicts["fake"], of="fake")
        self._note(view, verdicts, real, fake)
        cost = self._cost(view, real.shape)
        earned = view.weight * over_samples(real + fake).unsqueeze(-1)
        # Replicas share no parameter: the gradient of the sum of their losses is every replica's own gradient.
        # `backward`, not `grad`: it lays gradients out like their parameters, which fused optimizers take for granted.
        loss = over_samples(cost).sum() - earned.sum()
        loss.backward(inputs=[*self._parameters, *leaves.values()])  # type: ignore[no-untyped-call]
        own = -real.shape[-1] / view.weight  # from the gradient of a weighted mean to that of one sample's payoff
        slopes = {side: own * leaf.grad for side, leaf in leaves.items() if leaf.grad is not None}
        return Responses(
            Response(real.detach(), self._mean("real", verdicts["fake"], of="fake"), slopes.get("real")),
            Response(fake.detach(), self._mean("fake", verdicts["real"], of="real"), slopes.get("fake")),
        )

    def step(self) -> None:
        """One optimizer step, then the Lipschitz constraint."""
        advance(self.game, "discriminator")
        self.game.recipe.lipschitz.constrain(self.network)
        self._steps, self._has_paid = self._steps + 1, False

    def payoff(self, side: Origin, samples: Tensor, *, of: Origin | None = None) -> Tensor:
        """D's payoff for taking samples for a side's."""
        self.game.log.slope(f"slope of D at {WORDS[side]} samples", samples)
        return self._paid(side, self.game.judge(samples), of=of or side)

    def rng(self, name: str) -> Rng:
        """A random stream of this turn."""
        return self.game.own_streams.rng(name, self.number)

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the whole batch, of which the values may be a part."""
        return self.game.over_batch(values)

    def note(self, name: str, values: Tensor) -> None:
        """Add to the log's running means."""
        self.game.log.mean(name, over_samples(values))

    def _paid(self, side: Origin, verdict: Verdict, *, of: Origin) -> Tensor:
        """What D is paid for its verdict on samples that came with a side's classes, as if they were the first's."""
        rules, labels = self.game.recipe, self.labels[of]
        source: Tensor = getattr(rules.objective, side)(self._score(verdict, of))
        return rules.class_loss.payoff(side, source, verdict.classes, labels)

    @torch.no_grad()
    def _mean(self, side: Origin, verdict: Verdict, *, of: Origin) -> Tensor:
        return self.mean(self._paid(side, verdict, of=of))

    def _score(self, verdict: Verdict, of: Origin) -> Tensor:
        return self.game.recipe.discriminator.head.score(verdict, self.labels[of])

    def _cost(self, view: View, batch: torch.Size) -> Tensor:
        if self._has_paid:
            return torch.zeros(batch, device=self.game.device)
        self._has_paid = True
        control, axes = self.game.recipe.lipschitz, self.game.batch_axes
        rng = self.rng(f"lipschitz/{self._steps}")
        cost = control.penalty(self.game.score, view.real, view.fake, batch_axes=axes, rng=rng)
        self.game.log.finite("Lipschitz penalty", [cost])
        self.note("penalty", cost.expand(batch))
        return cost.expand(batch)

    def _note(self, view: View, verdicts: Mapping[Origin, Verdict], real: Tensor, fake: Tensor) -> None:
        log = self.game.log
        scores = {side: self._score(verdict, side) for side, verdict in verdicts.items()}
        payoffs: dict[Origin, Tensor] = {"real": real, "fake": fake}
        for side, payoff in payoffs.items():
            log.finite(f"score of {WORDS[side]} samples", [scores[side]])
            classes = verdicts[side].classes
            log.finite(f"class logits of {WORDS[side]} samples", [] if classes is None else [classes])
            log.finite(f"payoff of D on {WORDS[side]} samples", [payoff])
        for side, score in scores.items():
            name = f"{side}_adversarial" if side in view.attacked else side
            self.note(f"d_{name}", torch.sigmoid(score))
            self.note(f"score_{name}", score)
            if self.game.recipe.class_loss.needs_logits:
                self.note(f"class_accuracy_{name}", _right(verdicts[side], self.labels[side]))
        self.note("payoff_d_adversarial" if view.attacked else "payoff_d", real + fake)
        self.note("saturated", (torch.cat([scores["real"], scores["fake"]], dim=-1).abs() > SATURATED).float())


def _right(verdict: Verdict, labels: Tensor | None) -> Tensor:
    """1 where the class that D finds likeliest is the label, else 0."""
    assert verdict.classes is not None
    assert labels is not None
    return (verdict.classes.detach().argmax(-1) == labels).float()


def update_generator(game: GANState, fake: Batch, step: int) -> None:
    """One step of G up its payoff for what the adversary lets through of D's score (equation 3.4), and for classes.

    The adversary sits on the channel of the score; what D says of the class is told as it is.
    """
    rules = game.recipe
    with frozen(game.discriminator):
        verdict = game.judge(game.disturb(fake.samples, step, "told", step))
        score = rules.discriminator.head.score(verdict, fake.labels)
        rng = game.own_streams.rng("feedback", step)
        source = rules.feedback.transmit(rules.objective.generator, score, rng=rng)
        payoff = rules.class_loss.payoff("generator", source, verdict.classes, fake.labels)
        game.log.finite("score told to G", [score])
        game.log.finite("payoff of G", [payoff])
        game.log.mean("payoff_g", over_samples(payoff))
        loss = -over_samples(payoff).sum()
        loss.backward(inputs=list(game.generator.parameters()))  # type: ignore[no-untyped-call]
    advance(game, "generator")


def advance(game: GANState, player: str) -> None:
    """One optimizer step of a player along the gradients that it has gathered, which are forgotten."""
    parameters = list(getattr(game.networks, player).parameters())
    game.group.average([parameter.grad for parameter in parameters if parameter.grad is not None])
    descend(player, parameters, game.optimizers[player], game.log, len(game.recipe.lead))
