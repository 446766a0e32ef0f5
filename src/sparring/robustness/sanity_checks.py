"""The battery: why a figure of robust accuracy is to be believed, row by row; a row that fails is a flag.

It is handed the attack and the model. Noise, search and transfer, which the attack is compared with, are its own.

Source: Carlini et al. 2019, On evaluating adversarial robustness; Croce and Hein 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sparring.attacks import PGD, Criterion, CrossEntropy, GradientAttack, RandomSearch, attempt, width_of
from sparring.core.intervals import percent
from sparring.robustness.attack_under_test import Attempt, Contest, Tried
from sparring.robustness.checks import HALF_A_POINT, check, share
from sparring.robustness.model_checks import soundness
from sparring.robustness.targets import Subject, exactly
from sparring.robustness.trace import changed, state_of
from sparring.robustness.transfer import made_of, substitute
from sparring.runs.schema import SanityCheck

SAMPLES = 200
"""Samples of a battery, at most."""
QUERIES = 200
_TWO_POINTS = 0.02 + 1e-9
_NOTHING_LEFT = 0.01
_ROUNDING = 1e-6
"""Of sizes in units of [0, 1]."""
_USED = 0.9
"""The share of epsilon that an attack along signs should use."""


def battery(
    subject: Subject,
    attack: GradientAttack,
    *,
    epsilons: Sequence[float] = (),
    criterion: Criterion | None = None,
    samples: int = SAMPLES,
    tries: int = 1,
    seed: int = 0,
    attempt: Attempt = attempt,
) -> list[SanityCheck]:
    """Every row, on the first samples of a subject.

    Args:
        subject: the model under attack.
        attack: the main attack, at the main epsilon.
        epsilons: more budgets, at which accuracy must not rise.
        criterion: what the attack ascends; cross-entropy by default.
        samples: how many, at most.
        tries: of the attack on every sample.
        seed: of everything drawn.
        attempt: how the attack is tried.
    """
    before = state_of(subject.network)
    with exactly():
        part, ascended = subject.first(samples), criterion or CrossEntropy()
        contest = Contest(part, attack, ascended, attempt=attempt, tries=tries, seed=seed)
        budgets = sorted({*epsilons, attack.epsilon})
        rows = [row(contest, budgets) for row in _OF_THE_ATTACK]
        rows += soundness(contest.subject, contest.criterion, rng=contest.rng("directions"))
        rows += [row(contest, budgets) for row in _OF_OTHERS]
    return [*rows, _no_trace(changed(before, state_of(subject.network)))]


def _loss_rises(contest: Contest, _budgets: Sequence[float]) -> SanityCheck:
    start = contest.loss(contest.subject.samples)
    end = contest.loss(contest.under(contest.attack).samples)
    return check("loss rises", end > start, f"mean {contest.criterion.name} from {start:.4g} to {end:.4g}")


def _more_steps_help(contest: Contest, _budgets: Sequence[float]) -> SanityCheck:
    attack = contest.attack
    forms = [attack.model_copy(update={"steps": 1, "step_size": None}), attack, _with_steps(attack, 2 * attack.steps)]
    one, usual, twice = (share(contest.under(form).stands) for form in forms)
    holds = usual <= one + HALF_A_POINT and abs(usual - twice) <= _TWO_POINTS
    detail = ", ".join(
        f"{percent(value)} after {form.steps}" for form, value in zip(forms, (one, usual, twice), strict=True)
    )
    return check("more steps help", holds, f"accuracy {detail} steps, {_on(contest)}")


def _more_budget_helps(contest: Contest, budgets: Sequence[float]) -> SanityCheck:
    found = {0.0: share(contest.right)} | {size: share(contest.under(contest.at(size)).stands) for size in budgets}
    whole = _whole_range(contest)
    if whole is not None:
        found[whole] = share(contest.under(contest.at(whole)).stands)
    ordered = [found[size] for size in sorted(found)]
    falls = all(later <= earlier + HALF_A_POINT for earlier, later in pairwise(ordered))
    ends = whole is None or found[whole] <= _NOTHING_LEFT
    detail = ", ".join(f"{percent(found[size])} at {size:.3g}" for size in sorted(found))
    reach = "; samples without a range have no largest epsilon" if whole is None else ", the whole range"
    return check("more budget helps", falls and ends, f"accuracy {detail}{reach}, {_on(contest)}")


def _noise_is_weaker(contest: Contest, budgets: Sequence[float]) -> SanityCheck:
    pairs = {}
    for size in budgets:
        noise = contest.under_other(RandomSearch(epsilon=size, ball=contest.attack.ball, queries=1))
        pairs[size] = share(noise.stands), share(contest.under(contest.at(size)).stands)
    holds = all(attacked <= noisy + HALF_A_POINT for noisy, attacked in pairs.values())
    detail = ", ".join(f"{percent(noisy)} to {percent(hit)} at {size:.3g}" for size, (noisy, hit) in pairs.items())
    return check("noise is weaker", holds, f"accuracy under noise to that under attack: {detail}, {_on(contest)}")


def _budget_and_range(contest: Contest, _budgets: Sequence[float]) -> SanityCheck:
    over = max(_beyond_budget(contest, attack, tried) for attack, tried in contest.tried.items())
    outside = max(_beyond_range(contest, tried) for tried in contest.tried.values())
    holds = over <= _ROUNDING and outside <= _ROUNDING
    detail = f"at most {max(over, 0):.1e} beyond epsilon and {max(outside, 0):.1e} beyond the range"
    return check("budget and range", holds, f"{detail}, under {len(contest.tried)} forms of the attack")


def _budget_is_used(contest: Contest, _budgets: Sequence[float]) -> SanityCheck:
    attack, name = contest.attack, "the budget is used"
    if contest.subject.space.bounds is None:
        return check(name, None, "samples without a range have one unit, which nobody mistakes")
    if attack.ball.norm != "L-infinity":
        return check(name, None, f"the edge of the range may end a step sooner than a {attack.ball.norm} ball")
    used = float(_sizes(contest, contest.under(attack)).median()) / attack.epsilon
    return check(name, used >= _USED, f"the median perturbation is {percent(used)} of epsilon")


def _no_budget_no_change(contest: Contest, _budgets: Sequence[float]) -> SanityCheck:
    right = contest.classified_right(contest.under(contest.at(0.0)).samples)
    same = torch.equal(right, contest.right)
    detail = f"accuracy {percent(share(right))} at epsilon 0, {percent(share(contest.right))} clean"
    return check("no budget, no change", same, f"{detail}, {_on(contest)}")


def _transfer_is_weaker(contest: Contest, _budgets: Sequence[float]) -> SanityCheck:
    subject, attack = contest.subject, contest.attack
    other = substitute(subject, seed=0)
    sound = PGD(epsilon=attack.epsilon, steps=20, ball=attack.ball, direction=attack.direction)
    rng = contest.rng("transfer")
    moved = made_of(other, contest.threat(sound), subject.samples, subject.labels, rng=rng)
    transferred = share(contest.right & contest.classified_right(moved))
    direct = share(contest.under(attack).stands)
    detail = f"accuracy {percent(transferred)} under PGD-20 on {other.name}, {percent(direct)} under attack"
    return check("transfer is weaker", direct <= transferred + HALF_A_POINT, f"{detail}, {_on(contest)}")


def _search_is_weaker(contest: Contest, _budgets: Sequence[float]) -> SanityCheck:
    search = RandomSearch(epsilon=contest.attack.epsilon, ball=contest.attack.ball, queries=QUERIES)
    searched = share(contest.under_other(search).stands)
    direct = share(contest.under(contest.attack).stands)
    detail = f"accuracy {percent(searched)} under {QUERIES} random perturbations, {percent(direct)} under attack"
    return check("search is weaker", direct <= searched + HALF_A_POINT, f"{detail}, {_on(contest)}")


Row = Callable[[Contest, Sequence[float]], SanityCheck]
_OF_THE_ATTACK: tuple[Row, ...] = (
    _loss_rises,
    _more_steps_help,
    _more_budget_helps,
    _noise_is_weaker,
    _no_budget_no_change,
    _budget_and_range,
    _budget_is_used,
)
_OF_OTHERS: tuple[Row, ...] = (_transfer_is_weaker, _search_is_weaker)


def _with_steps(attack: GradientAttack, steps: int) -> GradientAttack:
    return attack.model_copy(update={"steps": steps})


def _on(contest: Contest) -> str:
    return f"on {len(contest.right)} samples"


def _whole_range(contest: Contest) -> float | None:
    """The size of a perturbation that can make any sample of any other, in units of [0, 1]."""
    space = contest.subject.space
    if space.bounds is None:
        return None
    corner = torch.ones((1, *space.shape), dtype=torch.float64)
    return float(contest.attack.ball.size(corner, 1))


def _sizes(contest: Contest, tried: Tried) -> Tensor:
    """The size of every perturbation in units of [0, 1]."""
    subject = contest.subject
    moved = tried.samples.double() - subject.samples.double()
    return contest.attack.ball.size(moved, 1) / width_of(subject.space)


def _beyond_budget(contest: Contest, attack: GradientAttack, tried: Tried) -> float:
    return float(_sizes(contest, tried).max()) - attack.epsilon


def _beyond_range(contest: Contest, tried: Tried) -> float:
    """How far a pixel lies outside of the range where its clean one does not."""
    space, clean = contest.subject.space, contest.subject.samples
    if space.bounds is None:
        return 0.0
    low, high = space.bounds
    above, below = tried.samples - clean.clamp(min=high), clean.clamp(max=low) - tried.samples
    return float(torch.maximum(above, below).max()) / width_of(space)


def _no_trace(touched: Sequence[str]) -> SanityCheck:
    told = f"changed: {', '.join(touched[:3])}" if touched else "parameters, gradients, modes and buffers as before"
    return check("no trace", not touched, told)
