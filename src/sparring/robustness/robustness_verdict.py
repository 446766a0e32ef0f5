"""The verdict on the robustness of a target, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from sparring.attacks import short_size
from sparring.core.intervals import percent
from sparring.robustness.targets import Target
from sparring.runs.robustness_schema import Rate, SanityCheck, WorstCase

_NAMES = {
    "classifier": "the classifier",
    "final classifier": "the classifier of the last round",
    "class head": "D's class head",
    "source head": "D's source head",
}


def robustness_verdict(target: Target, worst: WorstCase, clean: Rate, checks: Sequence[SanityCheck]) -> str:
    """What a target keeps under attack; or why no robust accuracy of it can be quoted.

    Args:
        target: what was attacked.
        worst: the worst case at the main epsilon.
        clean: accuracy without attack.
        checks: sanity checks of the result.
    """
    name = _NAMES.get(target.name, target.name)
    noun = "images" if len(target.space.shape) == 3 else "samples"
    on = f"{len(target.samples):,} {target.evaluated_on} {noun}{target.scaling and f', {target.scaling}'}"
    kind = "attacks" if target.gradients else "black-box attacks"
    attacks = worst.attacks[0] if len(worst.attacks) == 1 else f"every one of {len(worst.attacks)} {kind}"
    kept = (
        f"keeps {percent(worst.accuracy.value)} under {attacks} at {short_size(worst.epsilon, target.space)} "
        f"({worst.norm}) on {on}; {percent(clean.value)} without attack"
    )
    failed = [check for check in checks if check.holds is False]
    if target.evaluated_on == "training":
        sentence = f"no robust accuracy of {name} can be quoted, as nothing was held out: it {kept}"
    elif failed:
        count = f"{len(failed)} of {len(checks)} sanity checks failed"
        sentence = f"no robust accuracy of {name} can be quoted: {count}, first {failed[0].name} ({failed[0].detail})"
    elif target.name not in _NAMES:
        return f"{name} {kept}."  # a name of the user's keeps its letters
    else:
        sentence = f"{name} {kept}"
    return f"{sentence[:1].upper()}{sentence[1:]}."
