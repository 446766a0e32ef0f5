"""Targets: networks that return logits of the samples, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor, nn

from robust_models import Thresholds, thresholds
from sparring.core.errors import UsageError
from sparring.robustness.targets import target_of, target_of_set


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda x, y: (nn.Flatten(0), x, y), "not into logits"),
        (lambda x, y: (nn.Linear(3, 2), x, y), "cannot run on samples of shape"),
        (
            lambda x, y: (nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), x, y + 2),
            "labels: from 2 to 3, and the model has 2 classes",
        ),
        (lambda x, y: (Thresholds(), 2 * x, y), "outside of the range"),
    ],
)
def test_a_network_without_logits_of_the_samples_is_refused(
    break_it: Callable[[Tensor, Tensor], tuple[nn.Module, Tensor, Tensor]], message: str
) -> None:
    sane = thresholds()
    with pytest.raises(UsageError, match=message):
        target_of(*break_it(sane.samples, sane.labels))


def test_a_network_with_more_outputs_than_the_data_have_classes_is_refused() -> None:
    sane, twelve = thresholds(), nn.Sequential(nn.Flatten(), nn.Linear(16, 12))
    names = tuple("abcdefghijkl")
    assert target_of_set(twelve, sane.samples, sane.labels, sane.space, name="mine", names=names).classes == names
    with pytest.raises(UsageError, match="mine: 12 outputs, and the data have 10 classes"):
        target_of_set(twelve, sane.samples, sane.labels, sane.space, name="mine", names=names[:10])
