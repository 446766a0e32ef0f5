"""The lines of plain torch that run an exported network without this library, where its layers are torch's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from textwrap import wrap

from torch import nn

from sparring.export.portable import PortableGenerator, PortableNetwork
from sparring.networks import ClassifierModule, UniformPrior
from sparring.networks.mlp import MLPGeneratorModule, MLPTrunk
from sparring.networks.products import OneDNNLinear

_WIDTH = 110
_DEFAULTS = re.compile(r", (affine=True|bias=True|track_running_stats=True)\b")
"""Keys of layers that are the defaults of every release of torch."""
_IMPORTS = ["import torch", "from safetensors.torch import load_file", ""]
_CALL = "network.eval()(x)"
_LOAD = 'network.load_state_dict(load_file("model.safetensors"))'
_Lines = tuple[list[str], str]
"""Lines that follow x, what the network takes, and the expression of what it gives; no lines if there are none."""


def plain_torch(network: PortableNetwork) -> str:
    """A program that draws inputs and computes the outputs of a generator or classifier from model.safetensors.

    Args:
        network: as it is exported.

    Returns:
        The program; empty for networks with layers of their own.
    """
    write = _WRITERS.get(type(network.network))
    lines, result = write(network) if write else ([], "")
    if not lines:
        return ""
    inputs = [f"{name} = {drawn}" for name, drawn in random_tensors(network).items()]
    (output,) = network.outputs
    return "\n".join([*_IMPORTS, *inputs, f"x = {_inside(network)}", *lines, f"{output} = {_outside(network, result)}"])


def random_tensors(network: PortableNetwork) -> dict[str, str]:
    """Code that draws 16 inputs of the network in torch, by their names."""
    if not isinstance(network, PortableGenerator):
        return {network.samples: f"torch.rand({_shape(network)})"}
    size = f"(16, {network.spec.latent})"
    latents = {"latents": f"2 * torch.rand{size} - 1" if _is_uniform(network) else f"torch.randn{size}"}
    return latents | ({"labels": f"torch.arange(16) % {network.space.classes}"} if network.spec.conditional else {})


def random_arrays(network: PortableNetwork) -> dict[str, str]:
    """The same in NumPy."""
    if not isinstance(network, PortableGenerator):
        return {network.samples: f"np.random.uniform(0, 1, ({_shape(network)})).astype(np.float32)"}
    size = f"(16, {network.spec.latent})"
    drawn = f"uniform(-1, 1, {size})" if _is_uniform(network) else f"standard_normal({size})"
    latents = {"latents": f"np.random.{drawn}.astype(np.float32)"}
    return latents | ({"labels": f"np.arange(16) % {network.space.classes}"} if network.spec.conditional else {})


def _is_uniform(network: PortableGenerator) -> bool:
    return isinstance(network.spec.prior, UniformPrior)


def _inside(network: PortableNetwork) -> str:
    """What the network inside takes, by the names of the inputs."""
    space = network.space
    if isinstance(network, PortableGenerator):
        coded = f"torch.cat([latents, torch.nn.functional.one_hot(labels, {space.classes})], dim=1)"
        return coded if network.spec.conditional else "latents"
    return f"2 * {network.samples} - 1" if space.bounds else network.samples


def _outside(network: PortableNetwork, result: str) -> str:
    is_scaled = isinstance(network, PortableGenerator) and network.space.bounds is not None
    return f"({result} + 1) / 2  # in [0, 1]" if is_scaled else result


def _shape(network: PortableNetwork) -> str:
    return f"16, {', '.join(map(str, network.space.shape))}"


def _mlp_generator(network: PortableNetwork) -> _Lines:
    module = network.network
    assert isinstance(module, MLPGeneratorModule)
    lines = _dense("layers.layers.", len(module.layers.layers), ["torch.relu(x) if layer else x", "{product}"])
    reach = "x" if network.space.bounds is None else "torch.tanh(x)"
    return lines, f"{reach}.reshape({_shape(network)})"


def _classifier_module(network: PortableNetwork) -> _Lines:
    module = network.network
    assert isinstance(module, ClassifierModule)
    if isinstance(module.features, MLPTrunk):
        lines = _dense("features.layers.", len(module.features.layers), ["torch.relu({product})"])
        return ["x = x.flatten(1)", *lines], 'x @ weights["output.weight"] + weights["output.bias"]'
    features, output = _layer(module.features), _layer(module.output)
    if not (features and output):
        return [], ""
    parts = [*_assigned("network.features", features), *_assigned("network.output", output)]
    return ["network = torch.nn.Sequential()", *parts, _LOAD], _CALL


def _sequential(network: PortableNetwork) -> _Lines:
    made = _layer(network.network)
    return ([*_assigned("network", made), _LOAD], _CALL) if made else ([], "")


_WRITERS: dict[type[nn.Module], Callable[[PortableNetwork], _Lines]] = {
    MLPGeneratorModule: _mlp_generator,
    ClassifierModule: _classifier_module,
    nn.Sequential: _sequential,
}


def _dense(prefix: str, layers: int, body: list[str]) -> list[str]:
    """A loop over layers x W + b, the product of the body."""
    name = f'weights[f"{prefix}{{layer}}.%s"]'
    product = f"x @ {name % 'weight'} + {name % 'bias'}"
    steps = [f"    x = {step.format(product=product)}" for step in body]
    return ['weights = load_file("model.safetensors")', f"for layer in range({layers}):", *steps]


def _assigned(name: str, code: str) -> list[str]:
    return wrap(f"{name} = {code}", _WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _layer(module: nn.Module) -> str:
    """The code that makes a layer of torch's own, or several in a row; nothing for others."""
    if type(module) is nn.Sequential:
        parts = [_layer(each) for each in module]
        return f"torch.nn.Sequential({', '.join(parts)})" if all(parts) else ""
    kind = nn.Linear if type(module) is OneDNNLinear else type(module)
    if getattr(nn, kind.__name__, None) is not kind or any(True for _ in module.children()):
        return ""
    return f"torch.nn.{kind.__name__}({_DEFAULTS.sub('', module.extra_repr())})"
