"""The first update of fine-tuning, watched in the training's own step.

    w <- Adam on  E_real l(f(x_adv; w), y) + lambda E_generated l(f(x_adv; w), y)

with f the class branch of a co-trained D and G frozen.

Source: Rob-GAN, figure 5, equation (10).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from sparring.claims.computations.base import Computation
from sparring.claims.computations.robgan_round import furthest
from sparring.claims.values import Value
from sparring.classifier.finetune import finetuning
from sparring.classifier.state import ClassifierState
from sparring.classifier.step import attacked, train_step
from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.gan.load import load_gan
from sparring.objectives.classes import log_likelihood
from sparring.recipes import load
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

_CPU = torch.device("cpu")


@piece("finetuning_flow")
class FinetuningFlow(Computation):
    """A short co-training, and one update of its D as a classifier.

    Values:
        start_difference: largest difference of the classifier's logits from those of D's class head, at the start.
        other_layers: weights of the classifier that are not in D's trunk and class layer.
        attacked: least size of a perturbation, real and generated, in multiples of epsilon.
        update_difference: largest difference of a weight after the update from equation (10), computed here.
        moved: largest change of a weight.
        generator_change: largest change of a weight of G.

    Args:
        rounds: of co-training.
    """

    rounds: Count = 3

    def compute(self, seed: int) -> Mapping[str, Value]:
        quiet = ["evaluate_every=0", "sample_every=0", f"steps={self.rounds}", f"checkpoint_every={self.rounds}"]
        small = ["generator.hidden=[16]", "discriminator.hidden=[32]", f"seed={seed}"]
        with TemporaryDirectory() as folder:
            train(load("robgan/digits", [*quiet, *small]), Path(folder) / "game", device="cpu")
            run = RunFolder.open(Path(folder) / "game")
            recipe = finetuning(run, overrides=["batch_size=64"]).recipe
            state = ClassifierState.build(recipe, recipe.data.open(_CPU), _CPU)
            discriminator = load_gan(run, "cpu").networks.discriminator
        (generator,) = state.fakes
        sampler = generator.networks["fakes"]
        before, generator_before = copy.deepcopy(state.network), copy.deepcopy(sampler)
        sizes = [
            (attacked(state, batch, 0) - batch.samples).flatten(1).abs().amax(1) / state.space.width
            for batch in state.batches(0)
        ]
        expected = self._updated(state)
        samples = state.source.batch(0, 64, state.streams).samples
        with torch.no_grad():
            logits = discriminator.eval()(samples).classes
            start = float((before.eval()(samples) - logits).abs().max())
        train_step(state, 0)
        return {
            "start_difference": start,
            "other_layers": float(_weights(state.network) - _weights(discriminator, "trunk.", "head.classes.")),
            "attacked": float(torch.cat(sizes).min()) / state.recipe.attack.epsilon,
            "update_difference": furthest(state.network, expected),
            "moved": furthest(state.network, before),
            "generator_change": furthest(sampler, generator_before),
        }

    def _updated(self, state: ClassifierState) -> nn.Module:
        """The classifier after one step of Adam down equation (10)."""
        moved = [(batch.weight, attacked(state, batch, 0), batch.labels) for batch in state.batches(0)]
        network = copy.deepcopy(state.network).train()
        loss = sum(
            (weight * -log_likelihood(network(samples), labels).mean() for weight, samples, labels in moved),
            torch.zeros(()),
        )
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer = state.recipe.optimizer.build(network.parameters())
        state.recipe.optimizer.set_rate(optimizer, 0.0)
        optimizer.step()
        return network


def _weights(network: nn.Module, *below: str) -> int:
    """How many weights there are, in all or below some names."""
    return sum(weight.numel() for name, weight in network.named_parameters() if name.startswith(below or ("",)))
