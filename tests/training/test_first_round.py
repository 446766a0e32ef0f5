"""A piece that breaks its contract is named in the first round: the piece, what it returned, what is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sparring.attacks import Attack, Criterion
from sparring.classifier_losses import ClassifierLoss, ClassifierResponse
from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.core.shapes import Space
from sparring.data import Batch, Digits, Source
from sparring.feedback import HonestFeedback
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.lipschitz import Lipschitz
from sparring.networks import MLPDiscriminator, MLPGenerator
from sparring.objectives import Objective, SquareRoot
from sparring.recipes import load
from sparring.regimes import DiscriminatorUpdate, Plain, Regime, Symmetric, View
from sparring.training.first_round import play_first_round, require_contracts
from sparring.training.load import new_state
from sparring.training.loop import train


class Mean(Objective):
    """Payoffs whose mean is taken too early."""

    def real(self, score: Tensor) -> Tensor:
        return score.mean()

    def fake(self, score: Tensor) -> Tensor:
        return -score

    def generator(self, score: Tensor) -> Tensor:
        return score


class Detached(SquareRoot):
    """Payoffs without a gradient."""

    def generator(self, score: Tensor) -> Tensor:
        return score.detach()


class Nothing(HonestFeedback):
    """Feedback that is not returned."""

    def transmit(self, payoff: Any, score: Tensor, *, rng: Rng) -> Tensor:
        payoff(score)  # type: ignore[return]


class OneCost(Lipschitz):
    """One penalty for the whole batch."""

    def penalty(self, score: Any, real: Tensor, fake: Tensor, *, batch_axes: int, rng: Rng) -> Tensor:
        return real.square().mean()


class NoStep(Plain):
    """A regime that shows and takes no step."""

    def update(self, d: DiscriminatorUpdate, real: Tensor, fake: Tensor) -> None:
        d.show(View(real, fake))


class Half(Regime):
    """A regime that shows a part of the batch."""

    def update(self, d: DiscriminatorUpdate, real: Tensor, fake: Tensor) -> None:
        d.show(View(real[..., :1], fake))
        d.step()


class Column(Attack):
    """An attack that loses an axis."""

    def search(self, x: Tensor, loss: Any, *, space: Space, rng: Rng) -> Tensor:
        return x[..., 0]


class Scores(MLPDiscriminator):
    """A discriminator that returns bare scores."""

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> Any:
        built = super().build(space, lead, rng=rng)
        built.register_forward_hook(lambda _module, _inputs, verdict: verdict.score.unsqueeze(-1))
        return built


class Flat(MLPGenerator):
    """A generator of single numbers."""

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> nn.Module:
        built = super().build(space, lead, rng=rng)
        built.register_forward_hook(lambda _module, _inputs, samples: samples[..., 0])
        return built


class MeanLoss(Criterion):
    """A criterion whose mean is taken too early."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, labels)


class MeanLosses(ClassifierLoss):
    """A loss whose mean is taken too early."""

    def losses(self, response: ClassifierResponse, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(response.attacked, labels)


class FloatLabels(Digits):
    """Data whose labels are floats."""

    def open(self, device: torch.device) -> Source:
        source = super().open(device)
        batch = source.batch
        source.batch = lambda *each: Batch(batch(*each).samples, batch(*each).labels.float())  # type: ignore[method-assign]
        return source


def ring(replicas: int, **pieces: object) -> GANState:
    recipe = load("dishonest/ring-small", [f"replicas={replicas}", "batch_size=6", "lipschitz=none"])
    state = new_state(recipe.model_copy(update=pieces), torch.device("cpu"))
    assert isinstance(state, GANState)
    return state


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ({"objective": Mean()}, r"objective .*:Mean: `real` returned float32 of shape \(\), wanted shape \(.*6,?\)"),
        (
            {"objective": Detached()},
            "objective .*:Detached: `generator` returned .*, wanted one that depends on its input",
        ),
        ({"feedback": Nothing()}, "feedback .*:Nothing: `transmit` returned nothing, wanted shape"),
        ({"lipschitz": OneCost()}, r"lipschitz .*:OneCost: `penalty` returned float32 of shape \(\), wanted shape"),
        (
            {"regime": NoStep()},
            "regime .*:NoStep: its `update` made 0 steps of D, and showed 1 views after the last one",
        ),
        ({"regime": Half()}, "regime .*:Half: the view that it shows is float32 of shape .*, wanted shape"),
        ({"regime": Symmetric(attack=Column(epsilon=0.1))}, "attack: .*:Column turned samples of shape .* into shape"),
        ({"discriminator": Scores(hidden=(4,))}, "discriminator .*:Scores: its network returned .*, wanted a Verdict"),
        ({"generator": Flat(latent=3, hidden=(4,))}, "generator .*:Flat: its network returned .*, wanted shape"),
    ],
)
def test_a_broken_contract_is_named(replicas: int, pieces: dict[str, object], said: str) -> None:
    state = ring(replicas, **pieces)

    def first_round() -> None:
        require_contracts(state)
        play_first_round(state, 0)

    with pytest.raises(UsageError, match=f"^{said}") as caught:
        first_round()
    assert "\n" not in str(caught.value) and caught.value.remedy


def test_a_run_says_it_in_one_line(tmp_path: Path) -> None:
    recipe = load("dishonest/ring-small", ["steps=3", "evaluate_every=0", "sample_every=0"])
    with pytest.raises(UsageError, match=r"objective .*:Mean: `real` returned"):
        train(recipe.model_copy(update={"objective": Mean()}), tmp_path / "run", device="cpu")


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (
            {"criterion": MeanLoss()},
            r"criterion .*:MeanLoss: `loss` returned float32 of shape \(\), wanted shape \(2,\)",
        ),
        (
            {"loss": MeanLosses()},
            r"classifier_loss .*:MeanLosses: `losses` returned float32 of shape \(\), wanted shape",
        ),
        ({"data": FloatLabels()}, r"data .*:FloatLabels: the labels of its `batch` are float32 of shape \(8,\)"),
    ],
)
def test_pieces_of_a_classifier_are_named(pieces: dict[str, object], said: str, tmp_path: Path) -> None:
    recipe = load("robgan/digits-adversarial-training", ["steps=2", "batch_size=8", "evaluate_every=0"])
    with pytest.raises(UsageError, match=f"^{said}"):
        train(recipe.model_copy(update=pieces), tmp_path / "run", device="cpu")


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_first_round_has_the_numbers_of_any_other(replicas: int) -> None:
    """And leaves nothing behind: the recipe is the game's own again."""
    watched, plain = (ring(replicas, regime=Symmetric()) for _ in range(2))
    recipe = watched.recipe
    require_contracts(watched)
    play_first_round(watched, 0)
    play_round(plain, 0)
    assert watched.recipe is recipe
    assert all(torch.equal(a, b) for a, b in zip(watched.state().values(), plain.state().values(), strict=True))
