"""Charts of a classifier's training over rounds, beside its accuracies and local Lipschitz values.

Source: Rob-GAN, equations (6) and (10).
"""

from __future__ import annotations

from sparring.report.charts import BLUE, GREEN, INK, VERMILLION, Chart, Line, lines_of
from sparring.report.read import Run
from sparring.report.watching import size_chart

_SIDES = (("real", BLUE, "real"), ("fake", VERMILLION, "generated"))


def classifier_charts(run: Run, key: str) -> list[Chart]:
    """Loss first, then accuracy on training batches, gradients, and the attacks that were trained on.

    Args:
        run: the training of a classifier.
        key: a prefix that is unique on the page.
    """
    losses = _sides(run, "loss_{}", 1.0)
    whole = lines_of(run, "loss", INK, "real + weight × generated") if len(losses) > 1 else ()
    found = [
        Chart(
            f"{key}-loss", "Loss", "Mean cross-entropy of training batches, attacked as the recipe says.",
            "cross-entropy", whole + losses, limits=(0.0, None),
        ),
        Chart(
            f"{key}-batches", "Accuracy on training batches",
            "Under the training attack and in train mode: what the classifier learns from, not how good it is.",
            "share of samples (%)", _sides(run, "accuracy_{}", 100.0), limits=(0.0, 100.0),
        ),
        Chart(
            f"{key}-gradients", "Gradient norm", "Of the loss, over all weights.", "Euclidean norm (log scale)",
            lines_of(run, "gradient_classifier", GREEN, "classifier"), is_log=True,
        ),
        size_chart(run, run.training.attack, key),
        Chart(
            f"{key}-idle", "Training attacks that idle", "The gradient is 0 and nothing moves.",
            "share of attacked samples (%)", _sides(run, "attack_{}_idle", 100.0), limits=(0.0, 100.0),
        ),
    ]  # fmt: skip
    return [chart for chart in found if any(line.values.any() for line in chart.lines)]


def _sides(run: Run, name: str, scale: float) -> tuple[Line, ...]:
    """A number of real and of generated samples, where it was logged."""
    return tuple(
        line for side, colour, label in _SIDES for line in lines_of(run, name.format(side), colour, label, scale)
    )
