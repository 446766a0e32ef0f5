"""A game in memory: both players, their optimizers, the data and the random streams; all of its state as a value."""

from __future__ import annotations

import copy
from functools import cached_property

import torch
from torch import Tensor, nn

from sparring.data import Batch, Source
from sparring.engine.sampling import draw, laid_out, precision
from sparring.engine.state import (
    below,
    fill,
    load_optimizer_state,
    optimizer_state,
    require_known,
    saved,
    sums,
    within,
)
from sparring.engine.watch import Watch
from sparring.errors import UsageError
from sparring.gradients import input_gradient
from sparring.modules import batch_statistics, untraced
from sparring.networks import Verdict
from sparring.randomness import Rng, Streams
from sparring.recipes import Recipe
from sparring.shapes import Space, at_least_fp32


class Players(nn.Module):
    """The networks of a game.

    Args:
        recipe: what to build.
        space: the samples that they are built for.
    """

    def __init__(self, recipe: Recipe, space: Space) -> None:
        super().__init__()
        _require_classes(recipe, space)
        self.space = space
        streams = Streams(recipe.seed, recipe.replicas if recipe.lead else None)
        self.generator = recipe.generator.build(space, recipe.lead, rng=streams.rng("init/generator"))
        self.discriminator = recipe.discriminator.build(space, recipe.lead, rng=streams.rng("init/discriminator"))
        copies = [copy.deepcopy(self.generator).requires_grad_(False)] if recipe.ema else []
        self.average = nn.ModuleList(copies)
        recipe.lipschitz.check(self.discriminator)
        recipe.lipschitz.transform(self.discriminator)

    @property
    def sampler(self) -> nn.Module:
        """The generator that samples and measures use: the running mean where the recipe keeps one."""
        return next(iter(self.average), self.generator)

    def state(self) -> dict[str, Tensor]:
        """Weights and buffers by name."""
        return within("players/", self.state_dict())

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take weights and buffers out of a checkpoint's tensors.

        Raises:
            CorruptInput: tensors are missing, unknown or of another shape.
        """
        fill(self, below("players/", state))


class Game:
    """Everything that one round reads and writes.

    Args:
        recipe: what is played.
        source: opened data.
        device: where it is played.
    """

    def __init__(self, recipe: Recipe, source: Source, device: torch.device) -> None:
        self.recipe = recipe
        self.source = source
        self.device = device
        self.streams = Streams(recipe.seed, recipe.replicas if recipe.lead else None, device)
        if recipe.regime.trained_against:
            recipe.regime.trained_against.check(source.facts.space)
        players = Players(recipe, source.facts.space).to(device)
        if recipe.memory_format == "channels_last":
            players = players.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.players = players
        self.generator: nn.Module = players.generator
        self.discriminator: nn.Module = players.discriminator
        self.optimizers = {
            "generator": recipe.optimizers.generator.build(players.generator.parameters()),
            "discriminator": recipe.optimizers.discriminator.build(players.discriminator.parameters()),
        }
        self.watch = Watch(recipe.lead, device)
        recipe.lipschitz.constrain(players.discriminator)

    @property
    def batch_axes(self) -> int:
        """How many leading axes of a batch are batch."""
        return len(self.recipe.lead) + 1

    @property
    def sampler(self) -> nn.Module:
        """The generator that samples and measures use."""
        return self.players.sampler

    @cached_property
    def couples_samples(self) -> bool:
        """Whether D's score of a sample depends on the others of its batch, as seen by gradients at random samples."""
        space, axis = self.source.facts.space, len(self.recipe.lead)
        low, high = space.bounds or (-1.0, 1.0)
        samples = Rng.of(0, self.device).uniform((*self.recipe.lead, 3, *space.shape), low, high)
        samples = samples.to(next(self.discriminator.parameters()).dtype)
        with untraced(self.discriminator):
            seen = input_gradient(lambda x: self.score(x).select(axis, 0), samples)
        others = seen.gradient.narrow(axis, 1, 2)
        return batch_statistics(self.discriminator) is not None or bool((others != 0).any())

    def set_rates(self, step: int) -> None:
        """Set the learning rates of round `step`."""
        progress = step / self.recipe.steps
        self.recipe.optimizers.generator.set_rate(self.optimizers["generator"], progress)
        self.recipe.optimizers.discriminator.set_rate(self.optimizers["discriminator"], progress)

    def meet(self, number: int) -> Batch:
        """Real samples `(*batch, ...)` of turn `number`, counted over the whole game."""
        batch = self.source.batch(number, self.recipe.batch_size, self.streams)
        return batch._replace(samples=laid_out(self.recipe, batch.samples))

    def generate(self, stream: str, number: int) -> Batch:
        """Generated samples `(*batch, ...)` from the codes of this stream and number, with G's graph."""
        recipe = self.recipe
        shape, rng = (*recipe.lead, recipe.batch_size), self.streams.rng(stream, number)
        codes = recipe.generator.draw(shape, self.players.space, rng=rng)
        self.watch.finite("latents", [codes.values])
        with precision(self.recipe, self.device):
            fake: Tensor = self.generator(codes.values)
        return Batch(at_least_fp32(fake), codes.labels)

    def judge(self, samples: Tensor) -> Verdict:
        """D's verdict on samples `(*batch, ...)` in fp32."""
        with precision(self.recipe, self.device):
            verdict: Verdict = self.discriminator(samples)
        classes = None if verdict.classes is None else at_least_fp32(verdict.classes)
        return Verdict(at_least_fp32(verdict.score), classes)

    def score(self, samples: Tensor) -> Tensor:
        """D's scores `(*batch)` of samples whose classes it is not told, in fp32."""
        return self.judge(samples).score

    def disturb(self, samples: Tensor, step: int, stream: str, number: int) -> Tensor:
        """What D sees of samples in round `step`, by its Lipschitz control."""
        progress, rng = step / self.recipe.steps, self.streams.rng(f"disturb/{stream}", number)
        return self.recipe.lipschitz.disturb(samples, progress=progress, rng=rng)

    def draw(self, count: int, stream: str, number: int, labels: Tensor | None = None) -> Batch:
        """Samples `(*lead, count, ...)` of the sampler in eval mode, without a graph, and their classes.

        Args:
            count: samples a game.
            stream: of the codes.
            number: within that stream.
            labels: the classes wanted of a conditional G, `(count)`; uniform without.
        """
        space = self.players.space
        return draw(self.recipe, self.sampler, space, self.streams, count, stream, number, labels)

    @torch.no_grad()
    def update_average(self) -> None:
        """Move the running mean of G's weights, where the recipe keeps one; buffers are copied."""
        for average in self.players.average:
            for mean, current in zip(average.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(current, 1.0 - self.recipe.ema)
            for held, now in zip(average.buffers(), self.generator.buffers(), strict=True):
                held.copy_(now)

    def state(self) -> dict[str, Tensor]:
        """All state of the game, flat: networks, optimizers, running sums of the log."""
        state = self.players.state()
        for player, optimizer in self.optimizers.items():
            state |= within(f"optimizer.{player}/", optimizer_state(optimizer))
        return saved(state | within("watch/", self.watch.state()))

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`, exactly.

        Raises:
            CorruptInput: tensors are missing, unknown or of another shape.
        """
        optimizers = {f"optimizer.{player}/": optimizer for player, optimizer in self.optimizers.items()}
        require_known(state, ("players/", *optimizers, "watch/"))
        self.players.load_state(state)
        for prefix, optimizer in optimizers.items():
            load_optimizer_state(optimizer, below(prefix, state))
        self.watch.load_state(sums(below("watch/", state), self.recipe.lead))


def _require_classes(recipe: Recipe, space: Space) -> None:
    if space.classes:
        return
    if recipe.generator.conditional or recipe.discriminator.head.needs_classes:
        key = "generator.conditional" if recipe.generator.conditional else "discriminator.head"
        raise UsageError(f"{key} needs classes, and the data have no labels", "use labelled data, or a game without")
