"""Products by oneDNN: values and gradients of every order equal those of torch, and torch is used elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad

from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.networks import Generator, ResNetGenerator, products
from sparring.networks.products import OneDNNLinear, affine

LEADS = [(), (3,)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes of all products that oneDNN computes, however small."""
    seen: list[torch.Size] = []
    product = products._product

    def counted(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        seen.append(x.shape)
        return product(x, weight, bias)

    monkeypatch.setattr(products, "WORTH_IT", 1)
    monkeypatch.setattr(products, "_product", counted)
    return seen


def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]


def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x @ weight + bias.unsqueeze(-2)


def derivatives(layer: Callable[[Tensor, Tensor, Tensor], Tensor], *inputs: Tensor) -> list[Tensor]:
    """The value, the gradients, and those of a gradient penalty's kind."""
    out = layer(*inputs)
    first = grad(torch.tanh(out).square().sum(), inputs, create_graph=True)
    slopes = grad(torch.tanh(layer(*inputs)).sum(), inputs[0], create_graph=True)[0]
    second = grad(slopes.square().sum(), inputs[:2], create_graph=True)
    third = grad(second[0].square().sum(), inputs[:2])
    return [out, *first, *second, *third]


@pytest.mark.parametrize("lead", LEADS, ids=str)
def test_values_and_gradients_of_three_orders(lead: tuple[int, ...], calls: list[torch.Size]) -> None:
    inputs = drawn((*lead, 6, 5), (*lead, 5, 4), (*lead, 4))
    mine = derivatives(affine, *inputs)
    assert len(calls) > 4
    theirs = derivatives(plain, *(each.detach().double().requires_grad_() for each in inputs))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=2e-4, atol=2e-5)


def test_a_linear_layer_and_the_layout_of_its_gradient(calls: list[torch.Size]) -> None:
    layer, (x,) = OneDNNLinear(5, 4), drawn((6, 5))
    twin = nn.Linear(5, 4)
    twin.load_state_dict(layer.state_dict())
    for each in (layer, twin):
        each(x).square().sum().backward()
    assert calls
    torch.testing.assert_close(layer(x), twin(x))
    for mine, theirs in zip(layer.parameters(), twin.parameters(), strict=True):
        assert mine.grad is not None
        torch.testing.assert_close(mine.grad, theirs.grad)
        assert mine.grad.stride() == mine.stride()


def test_other_dtypes_and_devices_use_torch(calls: list[torch.Size], monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = drawn((6, 5), (5, 4), (4,))
    affine(*(each.double() for each in (x, weight, bias)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert affine(x, weight, bias).dtype == torch.bfloat16
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    affine(x, weight, bias)
    assert affine(x.to("meta"), weight.to("meta"), bias.to("meta")).device.type == "meta"
    assert not calls


def test_small_products_use_torch() -> None:
    rows = products.WORTH_IT // 64**2
    x, weight, bias = drawn((rows, 64), (64, 64), (64,))
    assert "Affine" in type(affine(x, weight, bias).grad_fn).__name__
    assert "Affine" not in type(affine(x[1:], weight, bias).grad_fn).__name__


@pytest.mark.parametrize("spec", [ResNetGenerator(width=64)], ids=lambda spec: spec.name)
def test_generators_export_and_compile(spec: Generator, calls: list[torch.Size]) -> None:
    space = Space((3, 16, 16), IMAGE_BOUNDS)
    network = spec.build(space, (), rng=Rng.of(0)).eval()
    codes = spec.draw((5,), space, rng=Rng.of(1)).values
    with torch.no_grad():
        expected = network(codes)
        assert calls, "eager products are large enough for oneDNN"
        calls.clear()
        exported = torch.export.export(network, (codes,)).module()
        compiled = torch.compile(network, fullgraph=True, backend="eager")
        for other in (exported, compiled):
            torch.testing.assert_close(other(codes), expected)
    assert not calls
