"""A GAN in a plain training loop: any nn.Module, with the pieces of this library as functions.

The generator learns a ring of Gaussians although 30 % of the discriminator's feedback is flipped.
"""

import torch
from torch import nn

from sparring.core.randomness import Rng, Streams
from sparring.data import Ring
from sparring.feedback import Flipping
from sparring.lipschitz import Clip
from sparring.metrics import Modes, Reference
from sparring.objectives import SquareRoot


def main(rounds: int = 3000) -> dict[str, float]:
    """Train some rounds and measure the generator."""
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    discriminator = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    g_steps = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    d_steps = torch.optim.RMSprop(discriminator.parameters(), lr=2e-3)

    objective, feedback, clip = SquareRoot(), Flipping(probability=0.3), Clip(bound=0.1)
    ring = Ring().open(torch.device("cpu"))
    streams = Streams(seed=0)

    for step in range(rounds):
        real, _ = ring.batch(step, 256, streams)
        fake = generator(torch.randn(256, 32))

        d_payoff = objective.real(discriminator(real)).mean() + objective.fake(discriminator(fake.detach())).mean()
        d_steps.zero_grad()
        (-d_payoff).backward()
        d_steps.step()
        clip.constrain(discriminator)

        score = discriminator(fake).squeeze(-1)
        g_payoff = feedback.transmit(objective.generator, score, rng=streams.rng("feedback", step)).mean()
        g_steps.zero_grad()
        (-g_payoff).backward()
        g_steps.step()

    facts = ring.facts
    held_out = ring.held_out(1000, rng=Rng.of(1)).samples
    reference = Reference(held_out, facts.centres, facts.std, facts.classes, classifier=None)
    with torch.no_grad():
        return Modes().measure(generator(torch.randn(1000, 32)), reference)


if __name__ == "__main__":
    print(main())
