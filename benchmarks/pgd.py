"""PGD-20 on a classifier of 32-pixel images in eval mode: ours, foolbox's, and a loop in plain torch.

All start at random in the same ball and take the same steps.
"""

from __future__ import annotations

import importlib
import importlib.util

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.case import Candidate, Case, Line, compared
from benchmarks.ceiling import Ceiling
from benchmarks.timing import Work
from sparring.attacks import PGD
from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS, Samples, Space
from sparring.networks import VGG16
from sparring.networks.fused import fused

_SPACE = Space((3, 32, 32), IMAGE_BOUNDS, 10)
_IMAGES, _WIDTH, _STEPS = 32, 32, 20
_EPSILON, _STEP = 8 / 255, 2 / 255


def _classifier(images: Tensor) -> nn.Module:
    """VGG-16 with running statistics of the images."""
    network = VGG16(width=_WIDTH).build(_SPACE, (), rng=Rng.of(0)).train()
    with torch.no_grad():
        for _ in range(20):
            network(images)
    return network.eval()


def _ours(network: nn.Module, images: Samples, labels: Tensor, *, bf16: bool) -> Work:
    attack = PGD(epsilon=_EPSILON, steps=_STEPS, step_size=_STEP)

    def loss(x: Samples) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = network(x)
        return F.cross_entropy(logits.float(), labels, reduction="none")

    return lambda: attack(images, loss, network=network, space=_SPACE, rng=Rng.of(2))


def _plain(network: nn.Module, images: Tensor, labels: Tensor) -> Work:
    epsilon, step = 2 * _EPSILON, 2 * _STEP

    def attack() -> Tensor:
        moved = (images + Rng.of(2).uniform(images.shape, -epsilon, epsilon)).clamp(-1, 1)
        for _ in range(_STEPS):
            leaf = moved.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(F.cross_entropy(network(leaf), labels), leaf)
            moved = torch.min(torch.max(leaf.detach() + step * gradient.sign(), images - epsilon), images + epsilon)
            moved = moved.clamp(-1, 1)
        return moved

    return attack


def _foolbox(network: nn.Module, images: Tensor, labels: Tensor) -> list[Candidate]:
    """foolbox's attack, where it is installed."""
    if importlib.util.find_spec("foolbox") is None:
        return []
    foolbox = importlib.import_module("foolbox")
    model = foolbox.PyTorchModel(network, bounds=(-1, 1), device="cpu")
    attack = foolbox.attacks.LinfPGD(abs_stepsize=2 * _STEP, steps=_STEPS)
    return [Candidate("foolbox", lambda: attack(model, images, labels, epsilons=2 * _EPSILON))]


def _pgd(ceiling: Ceiling) -> list[Line]:
    images = Rng.of(1).uniform((_IMAGES, *_SPACE.shape), -1.0, 1.0)
    network = _classifier(images)
    labels = network(images).argmax(1)
    quick, laid_out = fused(network), images.contiguous(memory_format=torch.channels_last)
    candidates = [
        Candidate("plain loop", _plain(network, images, labels)),
        *_foolbox(network, images, labels),
        Candidate("fp32, the network as it is", _ours(network, images, labels, bf16=False)),
        Candidate("fp32, fused, channels_last", _ours(quick, laid_out, labels, bf16=False)),
        Candidate("bf16, fused, channels_last", _ours(quick, laid_out, labels, bf16=True), "bf16"),
    ]
    lines = compared(candidates, ceiling, unit=f"s for {_IMAGES} images")
    if len(candidates) < 5:
        lines.append(Line("foolbox", None, "", note="not measured: it is not installed"))
    return lines


CASES = (Case("pgd-20", "PGD-20 on VGG-16 in eval mode, against a plain loop and foolbox", _pgd),)
