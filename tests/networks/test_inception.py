"""Inception-v3: the layout of the published weights, its poolings, and errors about the file of weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sparring.core.files import sha256
from sparring.core.randomness import Rng
from sparring.networks import InceptionFeatures, InceptionV3, extractors

CPU = torch.device("cpu")
PUBLISHED = {
    "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
    "Conv2d_1a_3x3.bn.running_var": (32,),
    "Conv2d_4a_3x3.conv.weight": (192, 80, 3, 3),
    "Mixed_5b.branch5x5_2.conv.weight": (64, 48, 5, 5),
    "Mixed_5d.branch_pool.bn.weight": (64,),
    "Mixed_6a.branch3x3dbl_3.conv.weight": (96, 96, 3, 3),
    "Mixed_6b.branch7x7_2.conv.weight": (128, 128, 1, 7),
    "Mixed_6c.branch7x7dbl_2.conv.weight": (160, 160, 7, 1),
    "Mixed_6e.branch7x7dbl_5.conv.weight": (192, 192, 1, 7),
    "Mixed_7a.branch7x7x3_4.conv.weight": (192, 192, 3, 3),
    "Mixed_7b.branch3x3_2a.conv.weight": (384, 384, 1, 3),
    "Mixed_7c.branch3x3dbl_3b.conv.weight": (384, 384, 3, 1),
    "fc.weight": (1008, 2048),
    "fc.bias": (1008,),
}
"""Some tensors of the published file and their shapes."""


@pytest.fixture(scope="module")
def network() -> InceptionV3:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return InceptionV3().eval()


def test_names_and_shapes_are_those_of_the_published_weights(network: InceptionV3) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert PUBLISHED.items() <= shapes.items()
    convolutions = [name for name in shapes if name.endswith("conv.weight")]
    assert len(convolutions) == 94
    assert sum(parameter.numel() for parameter in network.parameters()) == 23_850_960  # 23,834,568 with 1,000 classes
    assert [layer.eps for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)] == [0.001] * 94


def test_grey_and_colour_images(network: InceptionV3) -> None:
    with torch.no_grad():
        grey = network.extract(Rng.of(0).uniform((2, 1, 28, 28), -1.0, 1.0))
        colour = network.extract(Rng.of(0).uniform((1, 3, 32, 32), -1.0, 1.0))
    assert grey.features.shape == (2, 2048) and grey.logits.shape == (2, 1008)
    assert colour.features.shape == (1, 2048) and colour.features.isfinite().all()
    assert torch.equal(colour.logits, colour.features @ network.fc.weight.T), "no bias in the score's logits"


def test_images_are_resized_to_299_pixels(network: InceptionV3) -> None:
    reached = []
    handle = network.Conv2d_1a_3x3.register_forward_pre_hook(lambda _module, inputs: reached.append(inputs[0]))
    image = Rng.of(0).uniform((1, 3, 8, 8), -1.0, 1.0)
    with torch.no_grad():
        network.extract(image)
    handle.remove()
    assert reached[0].shape == (1, 3, 299, 299) and reached[0].abs().max() <= 1
    across = (149 + 0.5) * 8 / 299 - 0.5  # half-pixel centres: midway between columns 3 and 4
    assert across == pytest.approx(3.5)
    down = (50 + 0.5) * 8 / 299 - 0.5  # between rows 0 and 1
    rows = image[..., 3:5].mean(dim=3)
    expected = (1 - down) * rows[..., 0] + down * rows[..., 1]
    assert torch.allclose(reached[0][..., 50, 149], expected, atol=1e-5)


def mean_of(x: torch.Tensor) -> torch.Tensor:
    """Means over 3 x 3 from the sums of values and of ones."""
    return F.avg_pool2d(x, 3, 1, 1) / F.avg_pool2d(torch.ones_like(x), 3, 1, 1)


def max_of(x: torch.Tensor) -> torch.Tensor:
    """Maxima over 3 x 3, the padding being less than everything."""
    return F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-torch.inf), 3, 1)


def halved(x: torch.Tensor) -> torch.Tensor:
    """Maxima over every other 3 x 3."""
    return max_of(x)[..., 1:-1:2, 1:-1:2]


A = ["branch1x1", "branch5x5_1 branch5x5_2", "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3", "pool branch_pool"]
B = ["branch3x3", "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3", "pool"]
C = [
    "branch1x1",
    "branch7x7_1 branch7x7_2 branch7x7_3",
    "branch7x7dbl_1 branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5",
    "pool branch_pool",
]
D = ["branch3x3_1 branch3x3_2", "branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4", "pool"]
E = [
    "branch1x1",
    "branch3x3_1 branch3x3_2a",
    "branch3x3_1 branch3x3_2b",
    "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a",
    "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3b",
    "pool branch_pool",
]
BLOCKS = [
    *((f"Mixed_5{block}", A, mean_of) for block in "bcd"),
    ("Mixed_6a", B, halved),
    *((f"Mixed_6{block}", C, mean_of) for block in "bcde"),
    ("Mixed_7a", D, halved),
    ("Mixed_7b", E, mean_of),
    ("Mixed_7c", E, max_of),
]
"""Each block, its branches in the order of their channels (the layers of each), and its pooling."""


@pytest.mark.parametrize(("name", "branches", "pool"), BLOCKS)
def test_a_block_by_hand(
    network: InceptionV3, name: str, branches: list[str], pool: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    block = network.get_submodule(name)
    entrance = block.get_submodule(branches[0].split()[0])
    x = Rng.of(1).uniform((1, entrance.conv.in_channels, 5, 5))
    parts = []
    with torch.no_grad():
        for branch in branches:
            y = x
            for layer in branch.split():
                y = pool(y) if layer == "pool" else block.get_submodule(layer)(y)
            parts.append(y)
        assert torch.allclose(block(x), torch.cat(parts, dim=1), atol=1e-6)


def test_weights_are_read_from_a_file(network: InceptionV3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pth"
    counted = {name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name}
    torch.save(counted, path)  # the published file has no such counters
    monkeypatch.setattr(extractors, "SHA256", sha256(path))
    classifier = InceptionFeatures(weights=str(path)).choose(lambda: None, CPU)
    assert classifier is not None and classifier.sha256 == sha256(path)
    assert "Inception-v3" in classifier.name and "pytorch-fid" in classifier.name
    image = (Rng.of(0).integers((1, 1, 28, 28), 256) / 127.5) - 1
    with torch.no_grad():
        assert torch.allclose(classifier.extract(image).features, network.extract(image).features, atol=1e-5)
