"""The bench: its count of multiply-adds against a formula, which also says that a one-step attack costs no pass."""

from __future__ import annotations

import pytest

from sparring.bench import bench
from sparring.core.errors import UsageError
from sparring.networks import products

BATCH, LATENT, WIDTH = 32, 8, 16
SMALL = [
    f"generator.hidden=[{WIDTH}, {WIDTH}]",
    f"generator.latent={LATENT}",
    f"discriminator.hidden=[{WIDTH}, {WIDTH}]",
    f"batch_size={BATCH}",
    "replicas=1",
    "feedback=honest",
]
D = 2 * WIDTH + WIDTH * WIDTH + WIDTH
G = LATENT * WIDTH + WIDTH * WIDTH + 2 * WIDTH
UPDATE = 2 * BATCH * (3 * D - 2 * WIDTH)
"""Of D, on real and generated samples: forward, to the weights, and to all layers' inputs but the first's."""
PLAIN = UPDATE + BATCH * (2 * D + 3 * G - LATENT * WIDTH)
"""And of G: back through D to its input, and a whole pass of G; its fakes are those that D met."""
EXPECTED = {
    "plain": PLAIN,
    "symmetric": PLAIN + UPDATE + BATCH * 2 * WIDTH,
    "mixed": PLAIN + UPDATE + 2 * BATCH * 2 * WIDTH,
    "{name: symmetric, attack: {name: bim, steps: 3}}": PLAIN + UPDATE + 3 * BATCH * 2 * D,
}
"""A one-step attack adds the gradient of the first layer to the samples that it moves; three steps, three passes."""


@pytest.mark.parametrize("worth_it", [1, 1 << 40], ids=["oneDNN", "torch"])
def test_a_round_costs_what_the_formula_says(worth_it: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "WORTH_IT", worth_it)
    timings = bench(
        "dishonest/ring-small",
        f"regime={','.join(EXPECTED)}",
        overrides=[*SMALL, "data={name: ring, std: 0.1}"],
        turns=2,
        rounds=1,
        device="cpu",
    )
    counted = [timing.multiply_adds * 1e9 for timing in timings]
    assert counted == pytest.approx(list(EXPECTED.values()), rel=1e-12)
    assert [timing.variant for timing in timings][:2] == ["regime=plain", "regime=symmetric"]
    assert timings[0].relative == timings[0].low == timings[0].high == 1
    assert all(timing.seconds > 0 and timing.low <= timing.relative <= timing.high for timing in timings)


@pytest.mark.parametrize("vary", ["regime=plain", "regime=", "regime"])
def test_one_variant_is_refused(vary: str) -> None:
    with pytest.raises(UsageError, match="nothing to compare"):
        bench("dishonest/ring-small", vary)
