"""Regimes in a plain training loop: your networks, your optimizers; D is updated under attack.

Any regime fits: `Plain()`, `Symmetric()` (AS-GAN), `Mixed()` (DAT), `Replace()` (Rob-GAN).
"""

import torch
from torch import nn

from sparring.attacks import FGSM
from sparring.core.randomness import Rng
from sparring.data import Digits
from sparring.objectives import NonSaturating
from sparring.regimes import OwnDiscriminator, Regime, Symmetric

REGIME = Symmetric(attack=FGSM(epsilon="4/255"))


def main(regime: Regime = REGIME, rounds: int = 200) -> dict[str, float]:
    """Train some rounds, and say how well D tells real images from generated ones, clean and attacked."""
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)))
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
    g_steps = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    d_steps = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))

    images = Digits().open(torch.device("cpu")).held_out(360, rng=Rng.of(0)).samples  # any images in [-1, 1]
    objective = NonSaturating()
    d = OwnDiscriminator(discriminator, d_steps, objective, space=(-1, 1))
    for _ in range(rounds):
        real = images[torch.randint(len(images), (64,))]
        fake = generator(torch.randn(64, 16))
        d.update(regime, real, fake)

        g_steps.zero_grad()
        (-objective.generator(discriminator(fake).squeeze(1)).mean()).backward()
        g_steps.step()
    return {name: float(values.float().mean()) for name, values in d.logged.items()}


if __name__ == "__main__":
    print(main())
