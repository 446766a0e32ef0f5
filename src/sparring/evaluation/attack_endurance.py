"""Attack endurance of trained runs, one table: how many attacks each D withstands.

Source: Direct Adversarial Training for GANs, equation (1) and figure 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from sparring.core.randomness import Rng
from sparring.gan.load import load_gan
from sparring.monitoring.endurance_study import EnduranceStudy, Opponent
from sparring.recipes import parse_yaml
from sparring.runs.folder import RunFolder


def attack_study(attack: str, *, within: float, cap: int, samples: int) -> EnduranceStudy:
    """Settings of the experiment.

    Args:
        attack: as in a recipe, a name or a YAML mapping.
        within: of |D - mean|, in probability.
        cap: the largest number of attacks.
        samples: real and generated samples per game; at most as many as there are real ones.

    Raises:
        InvalidRecord: there is no such attack, or a setting is out of range.
    """
    values = {"attack": parse_yaml(attack, attack), "tolerance": within, "cap": cap, "samples": samples}
    return EnduranceStudy.validated(values, "attack", "see `sparring list attacks`")


def study_attacks(paths: Sequence[Path], study: EnduranceStudy, *, device: str = "auto") -> list[dict[str, Any]]:
    """How many attacks the D of each run's newest checkpoint withstands, against G as initialised and as trained.

    Args:
        paths: run folders.
        study: the settings.
        device: where to attack.

    Returns:
        A row for each run and G: {"run", "step", "generator", "numbers", "protocol", "problems"}; a number is a list
        with replicas.

    Raises:
        UsageError: no run, no checkpoint, or data that are not where the recipe says.
    """
    return [row for path in paths for row in _rows(path, study, device)]


def _rows(path: Path, study: EnduranceStudy, device: str) -> list[dict[str, Any]]:
    loaded = load_gan(RunFolder.open(path), device)
    source = loaded.data()
    real = source.held_out(study.samples, rng=Rng.of(0, loaded.streams.device)).samples
    space = source.facts.space
    opponents: tuple[Opponent, ...] = get_args(Opponent)
    return [
        {
            "run": str(path),
            "step": loaded.step,
            "generator": opponent,
            "numbers": {name: values.tolist() for name, values in study.run(loaded, real, space, opponent).items()},
            "protocol": study.protocol(real, space, opponent),
            "problems": list(loaded.problems),
        }
        for opponent in opponents
    ]
