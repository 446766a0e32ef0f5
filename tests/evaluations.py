"""Evaluations as `sparring robustness` writes them, without attacks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparring.attacks import in_scales
from sparring.core.intervals import wilson
from sparring.data.digits import load_digits
from sparring.runs.folder import RunFolder

EPSILONS = tuple(level / 255 for level in (4, 8, 16, 32))
ATTACKS = {
    "PGD-20 x 2": 1.0, "APGD-CE": 1.03, "APGD-T": 1.06, "FGSM": 0.7, "NES-20": 0.6, "Square-500": 0.8, "noise": 0.08,
}  # fmt: skip
"""The strength of each attack in the L-infinity norm."""


def rate(value: float, samples: int = 500) -> dict[str, Any]:
    hits = round(value * samples)
    return {"value": hits / samples, "interval": list(wilson(hits, samples))}


def attacked(norm: str, epsilon: float, value: float, **more: Any) -> dict[str, Any]:
    return {"norm": norm, "epsilon": epsilon, "scales": in_scales(epsilon), "accuracy": rate(value)} | more


def target(name: str = "class head", strength: float = 30.0, **changes: Any) -> dict[str, Any]:
    """A target whose accuracy falls as exp(-strength epsilon) under the strongest attack."""

    def left(epsilon: float, factor: float) -> float:
        return float(0.97 * np.exp(-strength * epsilon * factor))

    numbers = {
        "kind": "white-box", "loss_start": 0.1, "loss_end": 2.0, "seconds": 1.25, "forwards": 41.0, "backwards": 40.0,
    }  # fmt: skip
    attacks = [
        attacked("L-infinity", epsilon, left(epsilon, factor), name=each, **numbers)
        for each, factor in ATTACKS.items()
        for epsilon in EPSILONS
    ]
    worst = [attacked("L-infinity", epsilon, left(epsilon, 1.1), attacks=list(ATTACKS)) for epsilon in EPSILONS]
    for each, norm, epsilon in (("PGD-20 (L2)", "L2", 0.25), ("PGD-20 (L2)", "L2", 1.0), ("dimming", "dimming", 0.5)):
        attacks.append(attacked(norm, epsilon, left(epsilon, 0.1), name=each, **numbers))
        worst.append(attacked(norm, epsilon, left(epsilon, 0.1), attacks=[each]))
    main = {"epsilon": EPSILONS[1], "accuracy": worst[1]["accuracy"]}
    return {
        "target": name, "samples": 500, "evaluated_on": "held-out", "classes": [str(digit) for digit in range(10)],
        "trained_against": f"PGD, L-infinity, epsilon {in_scales(8 / 255)}, 10 steps",
        "clean": rate(0.968), "train_clean": rate(0.998),
        "train_attacked": [{"epsilon": epsilon, "accuracy": rate(left(epsilon, 0.5))} for epsilon in EPSILONS],
        "epsilons": EPSILONS, "main_epsilon": EPSILONS[1], "attacks": attacks, "worst": worst,
        "sanity_checks": [
            {"check": "more steps help", "holds": True, "detail": "61.5 % against 55.0 %"},
            {"check": "transfer is weaker", "holds": None, "detail": "no other run was given"},
        ],
        "flags": [], "headline": main | {"text": f"{100 * main['accuracy']['value']:.1f} % withstand every attack."},
        "examples": [{"epsilon": 32 / 255, "attack": "PGD-20 x 2"}, {"epsilon": 1.0, "attack": "PGD-20 (L2)"}],
        "transfer": {
            "sources": ["plain", "rob-gan"], "targets": ["plain", "rob-gan"], "epsilon": 8 / 255,
            "scales": in_scales(8 / 255), "attack": "PGD-20", "accuracy": [[0.02, 0.91], [0.55, 0.62]],
            "interval": [[[0.01, 0.04], [0.88, 0.93]], [[0.5, 0.6], [0.58, 0.66]]],
        },
    } | changes  # fmt: skip


def flagged(name: str = "class head", **changes: Any) -> dict[str, Any]:
    """The same target with a failed check."""
    failed = {"check": "more steps help", "holds": False, "detail": "PGD-20 61.2 %, PGD-1 55.0 %"}
    flags = ["more steps help: PGD-20 61.2 %, PGD-1 55.0 %"]
    return target(name, sanity_checks=[failed], flags=flags, headline=None, **changes)


def images(epsilons: Sequence[float], count: int = 10, side: int = 8) -> dict[str, npt.NDArray[Any]]:
    """A block of digits for each epsilon, every entry moved by it, and every second one then taken for the next.

    Args:
        epsilons: of the blocks.
        count: of digits.
        side: of the pictures in pixels.
    """
    samples, labels = load_digits()
    place = np.arange(side) * 8 // side
    samples = samples[..., place[:, None], place]
    clean = np.stack([16 * samples[:count].clip(0, 15)] * len(epsilons)).astype(np.uint8)
    signs = np.where(np.indices(clean.shape).sum(0) % 2, 1, -1)
    sizes = np.array([round(255 * epsilon) for epsilon in epsilons]).reshape(-1, 1, 1, 1, 1)
    true = np.stack([labels[:count]] * len(epsilons)).astype(np.int64)
    return {
        "clean": clean, "adversarial": (clean + sizes * signs).clip(0, 255).astype(np.uint8),
        "perturbation": (127 * signs).astype(np.int8),
        "labels": true, "predicted_clean": true, "predicted": (true + np.arange(count) % 2) % 10,
    }  # fmt: skip


def write_evaluation(
    folder: Path, *targets: Mapping[str, Any], step: int | None = 200, sides: Sequence[int] = ()
) -> None:
    """Write robustness.json and its example images into a folder.

    Args:
        folder: of the run or the model.
        targets: that were attacked.
        step: of the checkpoint.
        sides: of the images of every target, in pixels; 8 by default.
    """
    (folder / "robustness.json").write_text(json.dumps({"step": step, "seed": 3, "targets": targets}))
    blocks = {
        f"{index}/{name}": array
        for index, (each, side) in enumerate(zip(targets, sides or [8] * len(targets), strict=True))
        for name, array in images([example["epsilon"] for example in each["examples"]], side=side).items()
    }
    np.savez(folder / "robustness.npz", **blocks)


def evaluated(run: RunFolder, *targets: Mapping[str, Any]) -> RunFolder:
    """The run with what an evaluation writes into its folder."""
    write_evaluation(run.path, *targets)
    return run
