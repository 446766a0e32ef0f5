"""A GAN in memory: networks, optimizers, data, random streams and the running log; all of its state as a value."""

from __future__ import annotations

import copy
from functools import cached_property

import torch
from torch import Tensor, nn

from sparring.core.boundary import module_from
from sparring.core.descent import Descent
from sparring.core.distributed import SINGLE, ProcessGroup
from sparring.core.diverged import DivergedGames
from sparring.core.errors import UsageError
from sparring.core.modules import batch_statistics, input_gradient, untraced
from sparring.core.randomness import Rng
from sparring.core.shapes import Space, over_samples
from sparring.core.step_log import StepLog
from sparring.data import Batch, Source
from sparring.networks import Network, Verdict, forward
from sparring.recipes import Recipe, TrainingRecipe
from sparring.runs.tensors import (
    below,
    fill,
    load_optimizer_state,
    optimizer_state,
    saved,
    within,
)


class Networks(nn.Module):
    """Generator, discriminator, and the running mean of the generator's weights.

    Args:
        recipe: of the GAN.
        space: shape, range and classes of the samples.
    """

    def __init__(self, recipe: Recipe, space: Space) -> None:
        super().__init__()
        _require_classes(recipe, space)
        self.space = space
        streams = recipe.streams()
        self.generator = _initialised(recipe.generator, space, recipe.lead, streams.rng("init/generator"))
        self.discriminator = _initialised(recipe.discriminator, space, recipe.lead, streams.rng("init/discriminator"))
        copies = [copy.deepcopy(self.generator).requires_grad_(False)] if recipe.ema else []
        self.average = nn.ModuleList(copies)
        recipe.lipschitz.check(self.discriminator)
        recipe.lipschitz.transform(self.discriminator)

    @property
    def sampler(self) -> nn.Module:
        """The generator that is sampled and evaluated: the running mean if the recipe has one."""
        return next(iter(self.average), self.generator)

    def state(self) -> dict[str, Tensor]:
        """Weights and buffers by name."""
        return within("players/", self.state_dict())

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Load weights and buffers from the tensors of a checkpoint.

        Raises:
            CorruptInput: tensors are missing, unknown or of another shape.
        """
        fill(self, below("players/", state))


class GANState:
    """Everything that one round reads and writes.

    Args:
        recipe: of the GAN.
        source: opened data.
        device: of the training.
        group: the processes that train it.

    Attributes:
        generator, discriminator: the networks that a round runs, compiled if the recipe says so.
        networks: the same, not compiled, and the running mean of G.
        descents: the optimizer steps of both networks.
        diverged: packed games that stand still.
        kept: what the regime keeps from update to update.
        penalizes: whether D's loss has a penalty.
        streams: random streams that are the same in every process.
        own_streams: random streams of this process's part of a batch.
        share: number of samples of a batch in this process.

    Raises:
        UsageError: the networks do not fit the data, or the batch cannot be split over the group.
    """

    def __init__(self, recipe: Recipe, source: Source, device: torch.device, group: ProcessGroup = SINGLE) -> None:
        self.recipe = recipe
        self.source = source
        self.device = device
        self.group, self.share = group, _share(recipe, group)
        self.streams = recipe.streams(device)
        self.own_streams = self.streams.parted(group.part)
        if recipe.regime.trained_against:
            recipe.regime.trained_against.check(source.facts.space)
        networks = Networks(recipe, source.facts.space).to(device)
        if recipe.memory_format == "channels_last":
            networks = networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.networks = networks
        self.generator: nn.Module = networks.generator
        self.discriminator: nn.Module = networks.discriminator
        if recipe.compile:
            self.generator, self.discriminator = _compiled(self.generator), _compiled(self.discriminator)
        _require_packing(recipe)
        self.optimizers = {
            "generator": recipe.optimizers.generator.build(networks.generator.parameters()),
            "discriminator": recipe.optimizers.discriminator.build(networks.discriminator.parameters()),
        }
        self.kept: dict[str, Tensor] = {}
        self.diverged = DivergedGames(recipe.replicas if recipe.lead else 0)
        self.log = StepLog(recipe.lead, device, group, self.diverged)
        self.descents = {
            name: Descent(name, getattr(networks, name).parameters(), optimizer, self.log, group, self.diverged)
            for name, optimizer in self.optimizers.items()
        }
        self._means: list[Tensor] = list(networks.average.parameters())
        self.space, self.batch_axes = networks.space, len(recipe.lead) + 1
        for augmentation in recipe.diff_augment:
            augmentation.check(self.space)
        self.penalizes, self._disturbs = recipe.lipschitz.penalizes, recipe.lipschitz.disturbs or recipe.diff_augment
        recipe.lipschitz.constrain(networks.discriminator)

    @cached_property
    def couples_samples(self) -> bool:
        """Whether D's score of a sample depends on the other samples of its batch, by its gradients."""
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
        self.diverged.round = step + 1
        progress = step / self.recipe.steps
        self.recipe.optimizers.generator.set_rate(self.optimizers["generator"], progress)
        self.recipe.optimizers.discriminator.set_rate(self.optimizers["discriminator"], progress)

    def real_batch(self, number: int) -> Batch:
        """Real samples `(*batch, ...)` of D's update `number`, counted over all rounds."""
        batch = self.source.batch(number, self.share, self.own_streams)
        return batch._replace(samples=laid_out(self.recipe, batch.samples))

    def generate(self, stream: str, number: int) -> Batch:
        """Generated samples `(*batch, ...)` from the codes of this stream and number, differentiable in G."""
        recipe = self.recipe
        shape, rng = (*recipe.lead, self.share), self.own_streams.rng(stream, number)
        codes = recipe.generator.draw(shape, self.networks.space, rng=rng)
        return Batch(forward(self.generator, codes.values, self.recipe.precision), codes.labels)

    def judge(self, samples: Tensor) -> Verdict:
        """D's verdict on samples `(*batch, ...)`, at least fp32."""
        verdict: Verdict = forward(self.discriminator, samples, self.recipe.precision)
        return verdict

    def score(self, samples: Tensor) -> Tensor:
        """D's scores `(*batch)` of samples without classes, at least fp32."""
        return self.judge(samples).score

    def disturb(self, samples: Tensor, step: int, stream: str, number: int) -> Tensor:
        """The samples as D sees them in round `step`: augmented, with the noise of its Lipschitz control if any."""
        if not self._disturbs:
            return samples
        progress, rng = step / self.recipe.steps, self.own_streams.rng(f"disturb/{stream}", number)
        for augmentation in self.recipe.diff_augment:
            samples = augmentation(samples, rng=rng)
        return self.recipe.lipschitz.disturb(samples, progress=progress, rng=rng)

    def over_batch(self, values: Tensor) -> Tensor:
        """The mean of detached values over the whole batch of each game, `(*batch) -> lead`."""
        mean = over_samples(values)
        self.group.average([mean])
        return mean

    def end_round(self, step: int) -> None:
        """Update the running mean of G's weights and average the running statistics over the processes."""
        self._update_average(decay_of_mean(self.recipe.ema, step))
        self.group.average_buffers(self.networks)
        self.log.end_round()

    @torch.no_grad()
    def _update_average(self, decay: float) -> None:
        for average in self.networks.average:
            torch._foreach_lerp_(self._means, list[Tensor](self.descents["generator"].parameters), 1 - decay)
            for held, now in zip(average.buffers(), self.generator.buffers(), strict=True):
                held.copy_(now)

    def state(self) -> dict[str, Tensor]:
        """All state, flat: networks, optimizers, running sums of the log."""
        state = self.networks.state()
        for name, optimizer in self.optimizers.items():
            state |= within(f"optimizer.{name}/", optimizer_state(optimizer))
        state |= within("kept/", self.kept) | within("watch/", self.log.state())
        return saved(state | self.diverged.state())

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`, exactly.

        Raises:
            CorruptInput: tensors are missing, unknown or of another shape.
        """
        self.networks.load_state(state)
        for name, optimizer in self.optimizers.items():
            load_optimizer_state(optimizer, below(f"optimizer.{name}/", state))
        self.kept = {name: kept.to(self.device) for name, kept in below("kept/", state).items()}
        self.log.load_state(below("watch/", state))
        self.diverged.load_state(state)


def decay_of_mean(ema: float, updates: int) -> float:
    """The decay of a running mean of weights, which warms up so that the mean of a short run is near the weights:

        decay = min(ema, (1 + t) / (10 + t)),    mean <- decay mean + (1 - decay) weights

    As long as the second is less, the mean after n updates looks back over n / 10 of them on average; later, over
    ema / (1 - ema). With 0.999 it is less for the first 8,990.

    Args:
        ema: the decay in the end, in [0, 1).
        updates: t, the updates of the weights before this one.
    """
    return min(ema, (1 + updates) / (10 + updates))


def _initialised(spec: Network, space: Space, lead: tuple[int, ...], rng: Rng) -> nn.Module:
    network = module_from(spec.build(space, lead, rng=rng), f"{spec.family} {spec.name}: its `build`")
    spec.init.apply(network, rng=rng)
    return network


def laid_out(recipe: TrainingRecipe, samples: Tensor) -> Tensor:
    """Samples in the memory format of the recipe; everything computed from them keeps it."""
    if recipe.memory_format == "contiguous" or samples.dim() != 4:
        return samples
    return samples.contiguous(memory_format=torch.channels_last)


def _require_packing(recipe: Recipe) -> None:
    """Refuse packed games of an optimizer that does not step them one by one.

    Raises:
        UsageError: says which.
    """
    for name in ("generator", "discriminator"):
        if recipe.lead and not getattr(recipe.optimizers, name).packs:
            raise UsageError(
                f"optimizers.{name}: its keys do not support packed games, and replicas = {recipe.replicas}",
                "set replicas=1",
            )


def _compiled(network: nn.Module) -> nn.Module:
    compiled: nn.Module = torch.compile(network)  # type: ignore[assignment]
    return compiled


def _share(recipe: Recipe, group: ProcessGroup) -> int:
    if recipe.regime.keeps and group.part.of > 1:
        raise UsageError(
            f"regime = {recipe.regime.name}: keeps perturbations, and a checkpoint has those of one process",
            "train in one process",
        )
    if recipe.lead and group.part.of > 1:
        raise UsageError(
            f"replicas = {recipe.replicas}: packed games cannot be split over {group.part.of} processes",
            "set replicas=1, or train in one process",
        )
    return group.share(recipe.batch_size)


def _require_classes(recipe: Recipe, space: Space) -> None:
    if space.classes:
        return
    if recipe.generator.conditional or recipe.discriminator.head.needs_classes:
        key = "generator.conditional" if recipe.generator.conditional else "discriminator.head"
        raise UsageError(
            f"{key} needs classes, and the data have no labels",
            "put the images of each class into a folder of its own, or train a recipe without classes, as asgan/images",
        )
