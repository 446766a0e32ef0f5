"""The bench's cases: what is compared does the same work, and ours does it with fewer products."""

from __future__ import annotations

import time

import pytest
import torch

from sparring.bench import CASES, adversaries, games, gpu, host, packed
from sparring.bench.case import Candidate, compared
from sparring.bench.ceiling import Ceiling, measured_ceiling
from sparring.bench.timing import billions, ratio_of

CEILING: Ceiling = {"fp32": 100.0, "bf16": 200.0}
TINY = (
    "generator={name: robgan_resnet, width: 2, latent: 4}",
    "discriminator={name: robgan_resnet, width: 4, batch_norm: false}",
    "batch_size=2",
)


@pytest.mark.parametrize("regime", ["plain", "symmetric", "mixed", "replace"])
def test_a_round_takes_fewer_products_than_the_published_way(regime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(games, "_NETWORKS", {"tiny": TINY})
    published, *ours = games._rounds("tiny", regime, CEILING)
    assert [line.variant for line in ours] == ["fp32", "fp32, channels_last", "bf16, channels_last"]
    assert len({line.multiply_adds for line in ours}) == 1
    assert published.multiply_adds > 1.3 * ours[0].multiply_adds
    for line in (published, *ours):
        assert line.value is not None and line.times is not None and line.value > 0 < line.times
    assert published.times == published.low == published.high == 1


def test_packed_games_do_the_work_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_GAMES", 3)
    lines = packed._packed("dishonest/ring-small", CEILING)
    assert [line.multiply_adds for line in lines] == pytest.approx([lines[0].multiply_adds] * 5)
    assert "torch's own" in lines[0].variant and lines[0].times == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is said where there is no GPU")
def test_without_a_gpu_its_lines_say_so() -> None:
    lines = [line for case in gpu.CASES for line in case.measure(CEILING)]
    assert len(lines) == 2 * 3 * len(gpu._BATCHES) + 4
    assert all(line.value is None and line.note == "not measured: no GPU" for line in lines)


def test_the_cases_of_a_gpu_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, in small."""
    monkeypatch.setattr(gpu, "_GPU", torch.device("cpu"))
    monkeypatch.setattr(gpu, "_GAMES", 2)
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu, "measured_ceiling", lambda device: {**CEILING, "tf32": 150.0})
    loop, *others = gpu._packed("dishonest/ring-small", CEILING)
    assert loop.times == 1 and all(line.multiply_adds and line.times for line in others)


def test_every_case_has_a_name_of_its_own() -> None:
    assert len(CASES) == sum(len(each.CASES) for each in (games, packed, adversaries, host, gpu))
    assert all(name == case.name and case.about for name, case in CASES.items())


def test_the_attacks_that_are_compared_find_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adversaries, "_STEPS", 3)
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    network = adversaries.VGG16(width=2).build(adversaries._SPACE, (), rng=adversaries.Rng.of(0)).eval()
    labels = network(images).argmax(1)
    quick = adversaries.fused(network, images)

    def loss(moved: torch.Tensor) -> float:
        assert float((moved - images).abs().max()) <= 2 * 8 / 255 + 1e-6
        return float(torch.nn.functional.cross_entropy(network(moved), labels).detach())

    plain = loss(adversaries._plain(network, images, labels)())  # type: ignore[arg-type]
    ours = [loss(adversaries._ours(each, images, labels, bf16=False)()) for each in (network, quick)]  # type: ignore[arg-type]
    assert ours == pytest.approx([plain, plain], rel=1e-3)
    assert plain > loss(images)


def test_lines_say_how_many_times_as_fast_and_how_near_to_the_ceiling() -> None:
    matrix = torch.ones(64, 64)

    def slow() -> None:
        time.sleep(0.02)
        torch.matmul(matrix, matrix)

    def fast() -> None:
        time.sleep(0.005)

    reference, quicker = compared([Candidate("slow", slow), Candidate("fast", fast)], CEILING, unit="s", turns=3)
    assert reference.multiply_adds == pytest.approx(64**3 / 1e9) and quicker.multiply_adds == 0
    assert reference.value is not None
    assert reference.ceiling == pytest.approx(64**3 / 1e9 / reference.value / 100.0)
    assert quicker.ceiling is None and quicker.times is not None
    assert ratio_of([2.0, 4.0, 6.0], [1.0, 1.0, 2.0]).median == 3.0
    assert billions(fast) == 0


def test_the_ceiling_is_measured_for_both_precisions() -> None:
    assert all(rate > 0 for rate in measured_ceiling().values())
