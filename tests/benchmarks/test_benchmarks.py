"""The benchmarks: candidates do the same work, and multiply-adds are counted as a formula says."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from benchmarks import case, games, gpu_check, host, packed, pgd
from benchmarks.case import Candidate, compared
from benchmarks.cases import CASES, measure_cases
from benchmarks.ceiling import Ceiling
from benchmarks.timing import seconds_in_turns
from benchmarks.variants import time_variants
from sparring.networks import products

CEILING: Ceiling = {"fp32": 100.0, "bf16": 200.0}
TINY = (
    "generator={name: robgan_resnet, width: 2, latent: 4}",
    "discriminator={name: robgan_resnet, width: 4, batch_norm: false}",
    "batch_size=2",
)
BATCH, LATENT, WIDTH = 32, 8, 16
SMALL = [
    f"generator.hidden=[{WIDTH}, {WIDTH}]",
    f"generator.latent={LATENT}",
    f"discriminator.hidden=[{WIDTH}, {WIDTH}]",
    f"batch_size={BATCH}",
    "replicas=1",
    "feedback=honest",
    "data={name: ring, std: 0.1}",
]
D = 2 * WIDTH + WIDTH * WIDTH + WIDTH
G = LATENT * WIDTH + WIDTH * WIDTH + 2 * WIDTH
UPDATE = 2 * BATCH * (3 * D - 2 * WIDTH)
"""D on real and generated samples: forward, and backward to the weights and to every layer's input but the first's."""
PLAIN = UPDATE + BATCH * (2 * D + 3 * G - LATENT * WIDTH)
"""And G: back through D to its input, and a forward and backward of G; the fakes are those of D's update."""
EXPECTED = {
    "plain": PLAIN,
    "symmetric": PLAIN + UPDATE + BATCH * 2 * WIDTH,
    "mixed": PLAIN + UPDATE + 2 * BATCH * 2 * WIDTH,
    "{name: symmetric, attack: {name: bim, steps: 3}}": PLAIN + UPDATE + 3 * BATCH * 2 * D,
}
"""A one-step attack only adds the first layer's gradient at the samples that it moves; three steps, three passes."""


@pytest.fixture
def one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Works are timed once."""
    monkeypatch.setattr(case, "seconds_in_turns", lambda works, _turns: seconds_in_turns(works, 1))


@pytest.mark.parametrize("worth_it", [1, 1 << 40], ids=["oneDNN", "torch"])
def test_a_round_costs_what_the_formula_says(worth_it: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "WORTH_IT", worth_it)
    vary = f"regime={','.join(EXPECTED)}"
    timings = time_variants("dishonest/ring-small", vary, overrides=SMALL, turns=2, rounds=1, device="cpu")
    counted = [timing.multiply_adds * 1e9 for timing in timings]
    assert counted == pytest.approx(list(EXPECTED.values()), rel=1e-12)
    assert timings[0].relative == timings[0].low == timings[0].high == 1


@pytest.mark.usefixtures("one_turn")
@pytest.mark.parametrize("regime", ["plain", "symmetric", "mixed", "replace"])
def test_a_round_needs_fewer_products_than_the_published_way(regime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(games, "_NETWORKS", {"tiny": TINY})
    published, *ours = games._rounds("tiny", regime, CEILING)
    assert len({line.multiply_adds for line in ours}) == 1
    assert published.multiply_adds > 1.3 * ours[0].multiply_adds


@pytest.mark.usefixtures("one_turn")
def test_packed_games_do_the_work_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_GAMES", 3)
    lines = packed._packed("dishonest/ring-small", CEILING)
    assert [line.multiply_adds for line in lines] == pytest.approx([lines[0].multiply_adds] * 5)


def test_the_attacks_reach_the_same_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pgd, "_STEPS", 3)
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    network = pgd.VGG16(width=2).build(pgd._SPACE, (), rng=pgd.Rng.of(0)).eval()
    labels = network(images).argmax(1)

    def loss(moved: torch.Tensor) -> float:
        assert float((moved - images).abs().max()) <= 2 * 8 / 255 + 1e-6
        return float(F.cross_entropy(network(moved), labels).detach())

    plain = loss(pgd._plain(network, images, labels)())  # type: ignore[arg-type]
    for candidate in (network, pgd.fused(network)):
        assert loss(pgd._ours(candidate, images, labels, bf16=False)()) == pytest.approx(plain, rel=1e-3)  # type: ignore[arg-type]
    assert plain > loss(images)


def test_a_line_states_multiply_adds_and_the_share_of_the_ceiling() -> None:
    matrix = torch.ones(64, 64)
    lines = compared([Candidate("a product", lambda: matrix @ matrix), Candidate("nothing", int)], CEILING, unit="s")
    assert lines[0].multiply_adds == pytest.approx(64**3 / 1e9) and lines[1].multiply_adds == 0
    assert lines[0].value and lines[0].ceiling == pytest.approx(64**3 / 1e9 / lines[0].value / CEILING["fp32"])
    assert lines[0].times == 1 and lines[1].ceiling is None


def test_a_case_is_measured_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_HELPS", 1)
    ((measured, (line,)),) = measure_cases(["help"], CEILING)
    assert measured.name == "help" and line.unit == "s of CPU"
    assert all(name == each.name and each.about for name, each in CASES.items())


def test_gpu_check_runs_its_rounds_and_packed_games(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU and tiny networks."""
    monkeypatch.setattr(games, "_NETWORKS", {"tiny": TINY})
    monkeypatch.setattr(gpu_check, "_medians", lambda works: [(work() and 0.0) or 1e-3 for work in works])
    cpu = torch.device("cpu")
    assert "ms a round" in gpu_check._rounds("tiny", "symmetric", (), cpu, 60.0).detail
    assert "times as fast" in gpu_check._packed(cpu, 8, 60.0).detail
    assert {outcome.detail for _, outcome, _ in gpu_check.run_checks(cpu, budget=0.0)} == {"not run: out of time"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_check_needs_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        gpu_check.main()
    told = capsys.readouterr().err
    assert ended.value.code == 2 and told.startswith("gpu_check: no GPU") and told.count("\n") == 1
