"""Inception-v3: the layout of its published weights, its odd poolings, and what is said of a file that is not it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sparring.core.errors import CorruptInput, UsageError
from sparring.core.files import sha256
from sparring.core.randomness import Rng
from sparring.networks import InceptionFeatures, InceptionV3, extractors
from sparring.networks.inception import max_pool, mean_pool

CPU = torch.device("cpu")
PUBLISHED = {
    "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
    "Conv2d_1a_3x3.bn.running_var": (32,),
    "Conv2d_2a_3x3.conv.weight": (32, 32, 3, 3),
    "Conv2d_2b_3x3.conv.weight": (64, 32, 3, 3),
    "Conv2d_3b_1x1.conv.weight": (80, 64, 1, 1),
    "Conv2d_4a_3x3.conv.weight": (192, 80, 3, 3),
    "Mixed_5b.branch1x1.conv.weight": (64, 192, 1, 1),
    "Mixed_5b.branch5x5_1.conv.weight": (48, 192, 1, 1),
    "Mixed_5b.branch5x5_2.conv.weight": (64, 48, 5, 5),
    "Mixed_5b.branch3x3dbl_3.conv.weight": (96, 96, 3, 3),
    "Mixed_5b.branch_pool.conv.weight": (32, 192, 1, 1),
    "Mixed_5d.branch_pool.bn.weight": (64,),
    "Mixed_6a.branch3x3.conv.weight": (384, 288, 3, 3),
    "Mixed_6a.branch3x3dbl_3.conv.weight": (96, 96, 3, 3),
    "Mixed_6b.branch7x7_2.conv.weight": (128, 128, 1, 7),
    "Mixed_6b.branch7x7_3.conv.weight": (192, 128, 7, 1),
    "Mixed_6c.branch7x7dbl_2.conv.weight": (160, 160, 7, 1),
    "Mixed_6d.branch7x7dbl_3.conv.weight": (160, 160, 1, 7),
    "Mixed_6e.branch7x7dbl_5.conv.weight": (192, 192, 1, 7),
    "Mixed_6e.branch_pool.bn.bias": (192,),
    "Mixed_7a.branch3x3_2.conv.weight": (320, 192, 3, 3),
    "Mixed_7a.branch7x7x3_4.conv.weight": (192, 192, 3, 3),
    "Mixed_7b.branch1x1.conv.weight": (320, 1280, 1, 1),
    "Mixed_7b.branch3x3_2a.conv.weight": (384, 384, 1, 3),
    "Mixed_7b.branch3x3_2b.conv.weight": (384, 384, 3, 1),
    "Mixed_7c.branch3x3dbl_1.conv.weight": (448, 2048, 1, 1),
    "Mixed_7c.branch3x3dbl_2.conv.weight": (384, 448, 3, 3),
    "Mixed_7c.branch3x3dbl_3b.conv.weight": (384, 384, 3, 1),
    "Mixed_7c.branch_pool.bn.running_mean": (192,),
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


def test_grey_and_colour_images_of_any_side(network: InceptionV3) -> None:
    with torch.no_grad():
        grey = network.extract(Rng.of(0).uniform((2, 1, 28, 28), -1.0, 1.0))
        colour = network.extract(Rng.of(0).uniform((1, 3, 32, 32), -1.0, 1.0))
    assert grey.features.shape == (2, 2048) and grey.logits.shape == (2, 1008)
    assert colour.features.shape == (1, 2048) and colour.features.isfinite().all()
    assert torch.equal(colour.logits, colour.features @ network.fc.weight.T), "no bias in the score's logits"


def test_the_image_reaches_the_first_layer_resized_and_in_range(network: InceptionV3) -> None:
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


def test_padding_does_not_count_in_mean_pooling() -> None:
    assert torch.allclose(mean_pool(torch.ones(1, 1, 5, 5)), torch.ones(1, 1, 5, 5))
    corner = torch.zeros(1, 1, 4, 4)
    corner[..., 0, 0] = 1
    assert mean_pool(corner)[0, 0, :2, :2].flatten().tolist() == pytest.approx([1 / 4, 1 / 6, 1 / 6, 1 / 9])


def test_maximum_pooling_keeps_the_size() -> None:
    x = -1 - Rng.of(0).uniform((1, 1, 4, 4))  # negative: zeros of a padding would win
    assert torch.equal(max_pool(x)[0, 0, 0, 0], x[0, 0, :2, :2].max())
    assert max_pool(x).shape == x.shape


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
    ("Mixed_5b", A, mean_of),
    ("Mixed_5c", A, mean_of),
    ("Mixed_5d", A, mean_of),
    ("Mixed_6a", B, halved),
    ("Mixed_6b", C, mean_of),
    ("Mixed_6c", C, mean_of),
    ("Mixed_6d", C, mean_of),
    ("Mixed_6e", C, mean_of),
    ("Mixed_7a", D, halved),
    ("Mixed_7b", E, mean_of),
    ("Mixed_7c", E, max_of),
]
"""Every block, its branches in the order of their channels, each the layers that it passes, and how it pools."""


@pytest.mark.parametrize(("name", "branches", "pool"), BLOCKS)
def test_a_block_is_its_branches_in_the_published_order_over_its_pooling(
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


def test_every_normalisation_has_the_published_epsilon(network: InceptionV3) -> None:
    assert [layer.eps for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)] == [0.001] * 94


def test_weights_are_read_from_a_file_and_named_by_its_digest(
    network: InceptionV3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.pth"
    counted = {name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name}
    torch.save(counted, path)  # the published file has no such counters
    monkeypatch.setattr(extractors, "SHA256", sha256(path))
    classifier = InceptionFeatures(weights=str(path)).choose(lambda: None, CPU)
    assert (
        classifier is not None
        and classifier.sha256 == sha256(path)
        and "Inception-v3" in classifier.name
        and "pytorch-fid" in classifier.name
    )
    image = (Rng.of(0).integers((1, 1, 28, 28), 256) / 127.5) - 1
    with torch.no_grad():
        assert torch.allclose(classifier.extract(image).features, network.extract(image).features, atol=1e-5)


def test_a_missing_file_says_where_it_is_to_be_had(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file") as raised:
        InceptionFeatures(weights=str(tmp_path / "none.pth")).choose(lambda: None, CPU)
    assert "mseitzer/pytorch-fid" in raised.value.remedy and extractors.WEIGHTS in raised.value.remedy
    assert raised.value.exit_code == 2


def test_a_file_of_other_content_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / extractors.WEIGHTS
    path.write_bytes(b"not weights")
    with pytest.raises(CorruptInput, match="SHA-256") as raised:
        InceptionFeatures(weights=str(path)).choose(lambda: None, CPU)
    assert raised.value.exit_code == 4
